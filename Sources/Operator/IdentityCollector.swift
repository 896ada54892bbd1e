import Clocks
import JSON
import KubernetesAPI
import Logging

/// Deletes the CiliumIdentity objects that no CiliumEndpoint has used for a while.
///
/// An identity that is unused for the whole grace period is marked (`CiliumIdentity.unusedSince`), and deleted when it is
/// still unused, and nobody has touched the object, for another one. Who takes it into use removes the mark; the deletion
/// demands the version that was marked, so of the two one fails and knows it.
public actor IdentityCollector {
  private struct Unused {
    let uid: String
    let version: String
    let since: ContinuousClock.Instant
  }

  private let api: any ObjectAPI
  private let grace: Duration
  private let logger: Logger
  private var unused: [UInt32: Unused] = [:]

  public init(api: any ObjectAPI, grace: Duration = .seconds(300), logger: Logger) {
    self.api = api
    self.grace = grace
    self.logger = logger
  }

  /// Sweeps until the task is cancelled.
  public func run() async {
    while !Task.isCancelled {
      do throws(KubernetesError) { try await sweep(at: .now) } catch {
        logger.warning("identities could not be collected: \(error)")
      }
      try? await Task.sleep(for: grace / 5)
    }
  }

  /// One look at all identities.
  public func sweep(at now: ContinuousClock.Instant) async throws(KubernetesError) {
    // Endpoints are read last: one that is published in between counts.
    let identities = try await list(CiliumIdentity.resource).compactMap { try? CiliumIdentity($0) }
    let used = Set(
      try await list(CiliumEndpoint.resource).compactMap { $0[path: "status", "identity", "id"]?.integerValue })
    let present = Set(identities.map(\.identity))
    unused = unused.filter { number, _ in present.contains(number) }
    for identity in identities {
      do throws(KubernetesError) {
        try await judge(identity, isUsed: used.contains(Int64(identity.identity)), now)
      } catch {
        // Somebody else was there first: the next sweep sees what became of it.
        guard error.isConflict || error.isNotFound else { throw error }
        unused[identity.identity] = nil
      }
    }
  }

  private func judge(
    _ identity: CiliumIdentity, isUsed: Bool, _ now: ContinuousClock.Instant
  ) async throws(KubernetesError) {
    let metadata = identity.metadata
    guard !isUsed else {
      unused[identity.identity] = nil
      if identity.isMarkedUnused { _ = try await mark(identity, nil) }
      return
    }
    guard let known = unused[identity.identity], known.uid == metadata.uid, known.version == metadata.resourceVersion
    else {
      unused[identity.identity] = Unused(uid: metadata.uid, version: metadata.resourceVersion, since: now)
      return
    }
    guard now - known.since >= grace else { return }
    if identity.isMarkedUnused {
      try await api.delete(
        CiliumIdentity.resource, namespace: nil, name: metadata.name,
        DeleteOptions(uid: known.uid, resourceVersion: known.version))
      unused[identity.identity] = nil
      logger.info("identity \(identity.identity) is unused and deleted")
    } else {
      let version = try await mark(identity, Timestamp.text(Timestamp.now()))
      unused[identity.identity] = Unused(uid: known.uid, version: version, since: now)
    }
  }

  /// Sets or removes the mark of the identity as it was read. Returns the new version.
  private func mark(_ identity: CiliumIdentity, _ since: String?) async throws(KubernetesError) -> String {
    let changed = try await api.patch(
      CiliumIdentity.resource, namespace: nil, name: identity.metadata.name, .merge,
      [
        "metadata": [
          "resourceVersion": .string(identity.metadata.resourceVersion),
          "annotations": [CiliumIdentity.unusedSince: since.map(JSONValue.string) ?? .null],
        ]
      ], subresource: nil)
    return changed[path: "metadata", "resourceVersion"]?.stringValue ?? ""
  }

  private func list(_ type: ResourceType) async throws(KubernetesError) -> [JSONValue] {
    try await api.listAll(type, namespace: nil, ListOptions(limit: 500)).items
  }
}
