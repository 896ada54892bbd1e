import Addressing
import CNI
import Clocks
import Datapath
import Flows
import Identity
import JSON
import KubernetesAPI
import NodeAPI
import Policy
import ProxyRules

extension Agent {
  /// Serves the node API until the task is cancelled.
  func serveNodeAPI() async throws {
    let server = try NodeServer(socketPath: configuration.directory.agentSocket) { [self] request in
      await answer(request)
    }
    defer { server.stop() }
    await endpoints.replayDeletes()
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }

  private func answer(_ request: NodeRequest) async -> NodeResponse {
    do {
      switch (request.method, request.path) {
      case ("GET", "/v1/status"): return .json(await status().json)
      case ("GET", "/v1/endpoints"):
        return .json(await endpointModels(listening: request.query["listening"] == "true").json)
      case ("GET", "/v1/identities"): return .json(.array(await identityModels().map(\.json)))
      case ("GET", "/v1/policies"): return .json(.array(await policyStatuses().map(\.json)))
      case ("GET", "/v1/policies/pending"): return .json(try await pendingPolicies())
      case ("GET", "/v1/rules"): return .json(await ruleDocument())
      case ("GET", "/v1/services"): return .json(await services.models.json)
      case ("GET", "/v1/names"): return .json(.array(await nameModels().map(\.json)))
      case ("GET", "/v1/flows"): return try flows(request.query)
      case ("POST", "/v1/trace"): return .json(try await traces(JSONCursor(try request.json())))
      case ("POST", "/v1/policies/diff"):
        return .json(try await policyDifference(try request.json()).json)
      case ("POST", "/v1/why"):
        return .json(try await explain(TraceRequest(decoding: JSONCursor(try request.json()))).json)
      case ("POST", "/v1/cni"):
        return .json(await cni(try CNIRequest(decoding: JSONCursor(try request.json()))))
      case ("GET", _), ("POST", _): return .error("no such path: \(request.path)", code: 404)
      default: return .error("method \(request.method) is not known here", code: 405)
      }
    } catch {
      return .error("\(error)", code: 400)
    }
  }

  private func status() async -> AgentStatus {
    let endpoints = await self.endpoints.all
    let statuses = await policy.status
    let problems = await policy.problems
    let lost = (try? datapath.counters.lostEvents()) ?? 0
    let entries = (try? datapath.connections.count()) ?? 0
    let repairFailures = repairs.failures
    var components = [
      AgentStatus.Component(name: "Kubernetes", ok: true, message: "OK, \(client.configuration.server)"),
      AgentStatus.Component(
        name: "Datapath", ok: repairFailures.isEmpty,
        message: repairFailures.isEmpty
          ? "OK, from_container and to_container on \(endpoints.count) endpoints"
            + (datapath.adopted ? ", maps adopted" : "") + (repairs.last.map { ", put back \($0)" } ?? "")
          : repairFailures.joined(separator: "; ")),
      AgentStatus.Component(name: "Encryption", ok: true, message: "Disabled"),
      AgentStatus.Component(
        name: "Hubble", ok: true, message: "OK, \(ring.count)/\(ring.capacity) flows, \(ring.seen) seen, \(lost) lost"),
      AgentStatus.Component(
        name: "Conntrack", ok: entries * 10 < datapath.connections.capacity * 9,
        message: "\(entries)/\(datapath.connections.capacity) entries"),
      await tablesComponent(), metricsComponent, hostFirewallComponent,
      AuditMode.component(
        isNodeWide: configuration.audit, audited: endpoints.count(where: \.isAudit), of: endpoints.count,
        policies: statuses.values.count(where: \.isAudited)),
    ]
    let names = await self.names.counts
    components.append(
      AgentStatus.Component(
        name: "Names", ok: names.evicted == 0,
        message: "\(names.names) names, \(names.addresses) addresses"
          + (names.evicted == 0 ? ", OK" : ", \(names.evicted) forgotten for want of room")))
    components += [await servicesComponent(), kubeProxyComponent, await routesComponent()]
    components.append(
      AgentStatus.Component(
        name: "Policy", ok: problems.isEmpty,
        message: problems.isEmpty
          ? "OK, \(statuses.count) objects"
          : problems.sorted { $0.key < $1.key }.map { "identity \($0.key): \($0.value)" }.joined(separator: "; ")))
    return AgentStatus(
      version: Version.current, nodeName: configuration.nodeName, pid: Version.processID,
      startedAt: Timestamp.text(startedAt), ready: true, components: components, endpointCount: endpoints.count,
      identityCount: Set(endpoints.map(\.identity)).count, policyCount: statuses.count,
      policyRevision: Int64((try? datapath.revision()) ?? 0))
  }

  private func servicesComponent() async -> AgentStatus.Component {
    let refusals = await services.refusals.merging(services.healthCheckProblems) { refusal, _ in refusal }
      .sorted { $0.key < $1.key }
    let named = refusals.prefix(3).map { "\($0.key): \($0.value)" }.joined(separator: "; ")
    return AgentStatus.Component(
      name: "Services", ok: refusals.isEmpty,
      message: refusals.isEmpty
        ? "OK, \(await services.count) objects"
        : "\(refusals.count) of \(await services.count) not as they should be: \(named)"
          + (refusals.count > 3 ? "; …" : ""))
  }

  private func routesComponent() async -> AgentStatus.Component {
    let (status, problem) = (await routes.status, await routes.problem)
    let rejected = status.filter { $0.value.state == .rejected }.keys.sorted()
    let named = rejected.prefix(3).map(\.description).joined(separator: ", ") + (rejected.count > 3 ? ", …" : "")
    let counts =
      "\(status.count - rejected.count) configurations in force"
      + (rejected.isEmpty ? "" : ", \(rejected.count) rejected: \(named)")
    return AgentStatus.Component(
      name: "Routing", ok: problem == nil, message: problem.map { "\(counts); \($0)" } ?? "OK, \(counts)")
  }

  /// As users know it: whether the node's own traffic is judged, and on which devices.
  private var hostFirewallComponent: AgentStatus.Component {
    let isOn = (try? datapath.hasHostPolicy()) ?? false
    let attached = Set(datapath.host.devices.keys)
    let missing = Set(configuration.devices).subtracting(attached).sorted()
    let devices = attached.isEmpty ? "no device" : attached.sorted().joined(separator: ", ")
    return AgentStatus.Component(
      name: "Host firewall", ok: missing.isEmpty,
      message: (isOn ? "Enabled" : "Disabled, no policy selects the node") + " [\(devices)]"
        + (missing.isEmpty ? "" : ", not on \(missing.joined(separator: ", "))"))
  }

  /// - Parameter listening: whether to look into each pod for who listens there.
  private func endpointModels(listening: Bool) async -> [EndpointModel] {
    let maps = await policy.compiled.maps
    let unguarded = await endpoints.unguarded()
    return await endpoints.all.map { endpoint in
      // Without its programs nothing is enforced, whatever the kernel's tables say.
      let isGuarded = !unguarded.contains(endpoint.interfaceIndex)
      let map = maps[endpoint.identity] ?? [:]
      func enforces(_ direction: Direction, _ unrestricted: UInt32) -> Bool {
        isGuarded && !map.contains { $0.key.direction == direction && $0.value.rule == unrestricted }
      }
      return EndpointModel(
        id: endpoint.id, namespace: endpoint.attachment.podNamespace, pod: endpoint.attachment.podName,
        labels: endpoint.labels.sourced, identity: endpoint.identity.rawValue,
        ipv4: endpoint.attachment.addresses.first { $0.isIPv4 }?.description,
        ipv6: endpoint.attachment.addresses.first { $0.isIPv6 }?.description,
        ifname: endpoint.attachment.hostInterface, state: isGuarded ? .ready : .regenerating,
        enforcesIngress: enforces(.ingress, RuleTable.unrestrictedIngress),
        enforcesEgress: enforces(.egress, RuleTable.unrestrictedEgress),
        isAudit: endpoint.isAudit || configuration.audit,
        namedPorts: endpoint.namedPorts.sorted().map { port in
          "\(port.name)=\(port.port)/\(TransportProtocol(port.protocol))"
        },
        listening: listening ? ListeningPorts.ofNamespace(endpoint.attachment.netns)?.sorted() : nil)
    }
  }

  private func identityModels() async -> [IdentityModel] {
    let local = await endpoints.all.reduce(into: [:]) { $0[$1.identity, default: 0] += 1 }
    let known = await policy.knownIdentities
    return known.sorted { $0.key < $1.key }.map { identity, labels in
      IdentityModel(id: identity.rawValue, labels: labels.sourced, endpointCount: local[identity] ?? 0)
    }
  }

  private func policyStatuses() async -> [PolicyStatus] {
    let statuses = await policy.status
    let subjects = await policy.subjects
    let endpoints = await self.endpoints.all
    let revision = Int64((try? datapath.revision()) ?? 0)
    return statuses.sorted { $0.key < $1.key }.map { key, status in
      PolicyStatus(
        kind: key.kind, namespace: key.namespace, name: key.name, state: PolicyStatus.State(status),
        problems: status.issues.map { .init(path: $0.path, message: $0.message) }
          + (status.watchedOn.isEmpty ? [] : [.init(path: "spec", message: AuditMode.watched(on: status.watchedOn))]),
        endpointCount: endpoints.count { subjects[key]?.contains($0.identity) ?? false }, revision: revision)
    }
  }

  /// Policies of the API that are not in force here yet, or still are.
  private func pendingPolicies() async throws -> JSONValue {
    var pending: [ObjectKey] = []
    for type in [NetworkPolicy.resource, CiliumNetworkPolicy.resource, CiliumClusterwideNetworkPolicy.resource] {
      pending += progress.pending(try await client.listAll(type).items, kind: type.kind)
    }
    let refused = await policy.refused.mapValues { $0.filter { !$0.isMissing }.map(\.message).joined(separator: "; ") }
      .filter { !$0.value.isEmpty }
    return [
      "pending": .array(
        pending.sorted().map { .string($0.description) }
          + refused.sorted { $0.key < $1.key }.map { .string("\($0.key) (\($0.value))") })
    ]
  }

  /// Rule id -> who wrote it, for those who read the kernel's maps themselves.
  private func ruleDocument() async -> JSONValue {
    let rules = await policy.compiled.rules.origins
    return .object(
      Dictionary(
        uniqueKeysWithValues: rules.map { id, origin in
          (
            String(id),
            [
              "object": .string(origin.object?.description ?? ""), "path": .string(origin.path),
              "description": .string(origin.description),
            ]
          )
        }))
  }

  private func flows(_ query: [String: String]) throws -> NodeResponse {
    let filter = try FlowQuery.filter(query)
    let last = query["last"].flatMap { Int($0) } ?? (query["follow"] == nil ? 20 : 0)
    let ring = self.ring
    let follow = query["follow"] == "true"
    return .lines { write in
      let stream = follow ? ring.follow() : nil
      for flow in ring.flows(last: last, matching: filter) { try await write(FlowQuery.document(flow)) }
      guard let stream else { return }
      for await element in stream {
        switch element {
        case .flow(let flow): if filter.matches(flow) { try await write(FlowQuery.document(flow)) }
        case .lost(let count):
          try await write([
            "lost_events": ["source": "HUBBLE_RING_BUFFER", "num_events_lost": .string(String(count))]
          ])
        }
      }
    }
  }

  private func cni(_ request: CNIRequest) async -> JSONValue {
    do {
      switch try CNICall(request) {
      case .add(let invocation, let configuration):
        return CNIReply.success(
          try await endpoints.add(invocation, network: configuration.name, mtu: configuration.mtu))
      case .delete(let key): await endpoints.delete(key)
      case .check(let invocation, let configuration):
        try await endpoints.check(invocation, expecting: configuration.previousResult)
      case .collectGarbage(let network, let valid):
        await endpoints.collectGarbage(network: network, valid: valid)
      case .status: break
      }
      return CNIReply.success()
    } catch {
      return CNIReply.failure(error as? CNIError ?? CNIError(.agentFailure, "\(error)"))
    }
  }
}
