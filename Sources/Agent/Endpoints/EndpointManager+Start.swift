import CNI
import Identity
import KubernetesAPI
import Policy

extension EndpointManager {
  /// Takes over what an earlier agent left, and returns what policy must know of it. Attachments whose interface is gone
  /// are forgotten; kernel entries and devices without an attachment are removed.
  func adopt(pods known: [Pod], namespaces labels: [String: [String: String]]) async throws -> PolicyDelta {
    pods = Dictionary(known.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
    namespaces = labels
    let present = try kernel.entries().reduce(into: [:]) { $0[$1.address] = ($1.id, $1.identity) }
    let (found, problems) = try attachments.load()
    for problem in problems { logger.warning("\(problem)") }
    var delta = PolicyDelta()
    for attachment in found {
      guard let index = try devices.index(of: attachment) else {
        forget(attachment)
        continue
      }
      attempt("claim the addresses of \(attachment.key)") { try ipam.claim(attachment.addresses) }
      let before = attachment.addresses.first.flatMap { present[$0] }
      if let id = before?.0 { _ = ids.adopt(attachment.key, id) }
      guard let id = ids.allocate(attachment.key) else {
        logger.error("no endpoint id is free for \(attachment.key)")
        continue
      }
      let identity = NumericIdentity(rawValue: before?.1 ?? ReservedIdentity.`init`.rawValue)
      var endpoint = Endpoint(
        id: id, attachment: attachment, interfaceIndex: index, identity: identity,
        labels: await identities.labels(of: identity) ?? ReservedIdentity.`init`.labels, namedPorts: [])
      if let pod = pods[endpoint.podKey], endpoint.belongs(to: pod) {
        endpoint.namedPorts = pod.namedPorts
        do {
          let labels = identityLabels(pod)
          endpoint.identity = try await identities.identity(of: labels)
          endpoint.labels = labels
        } catch {
          logger.error("no identity for \(endpoint.podKey), it keeps \(endpoint.identity) for now: \(error)")
        }
      }
      endpoints[attachment.key] = endpoint
      directory.setEndpoint(
        endpoint.id, namespace: attachment.podNamespace, pod: attachment.podName, addresses: attachment.addresses)
      delta.addedSubjects.insert(endpoint.identity)
    }
    for identity in delta.addedSubjects { delta.changedIdentities[identity] = details(identity) }
    return delta
  }

  /// Puts the adopted endpoints' entries and programs in place; to be called when their policy is in force.
  func attachAdopted() {
    attempt("write the endpoints") { try kernel.reconcile(endpoints.values.map(\.datapath)) }
    let names = Set(endpoints.values.map(\.attachment.hostInterface))
    for endpoint in endpoints.values {
      attempt("attach to \(endpoint.attachment.hostInterface)") {
        try kernel.attach(interface: endpoint.attachment.hostInterface, index: endpoint.interfaceIndex)
      }
    }
    attempt("remove the devices of unfinished pods") {
      for name in try kernel.attachedInterfaces().subtracting(names) {
        devices.remove(name)
        try kernel.detach(interface: name)
      }
    }
    // Those that could not be identified are tried again, and all of them are published.
    identifyAgain { _ in true }
  }

  private func forget(_ attachment: PodAttachment) {
    logger.info("\(attachment.label) is gone, its interface with it")
    attempt("forget attachment \(attachment.key)") {
      try kernel.forgetConnections(of: attachment.addresses)
      try attachments.remove(attachment.key)
    }
    reports.withdraw(attachment)
  }
}
