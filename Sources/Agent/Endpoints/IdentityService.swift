import Identity
import JSON
import KubernetesAPI
import Logging

/// Gives sets of labels their numbers. The numbers are CiliumIdentity objects, so that all nodes agree and a restart finds
/// them again; the name of an object is its number, and the API server lets only one of two creators have it.
///
/// A number is told to nobody before its object is there. The operator deletes the objects that nobody uses: it marks one
/// first, and deletes it only in the version that it marked. Who takes a marked identity removes the mark, so either the
/// deletion fails or the taker learns of it.
actor IdentityService {
  private let api: any ObjectAPI
  private let logger: Logger
  private var allocator = IdentityAllocator()
  /// Those that the operator is about to delete.
  private var marked: Set<NumericIdentity> = []
  private var underWay: [IdentityLabels: Task<NumericIdentity, any Error>] = [:]

  init(api: any ObjectAPI, logger: Logger) {
    self.api = api
    self.logger = logger
  }

  // MARK: What the API says

  func replace(_ identities: [CiliumIdentity]) {
    allocator.replace(
      Dictionary(identities.map { ($0.number, $0.identityLabels) }, uniquingKeysWith: { first, _ in first }))
    marked = Set(identities.filter(\.isMarkedUnused).map(\.number))
  }

  /// Returns the labels that it stands for.
  func insert(_ identity: CiliumIdentity) -> IdentityLabels {
    let labels = identity.identityLabels
    allocator.insert(identity.number, labels)
    if identity.isMarkedUnused { marked.insert(identity.number) } else { marked.remove(identity.number) }
    return labels
  }

  func remove(_ identity: NumericIdentity) {
    allocator.remove(identity)
    marked.remove(identity)
  }

  /// All that are known.
  var labels: [NumericIdentity: IdentityLabels] { allocator.labels }

  func labels(of identity: NumericIdentity) -> IdentityLabels? { allocator[identity] }

  // MARK: Numbers

  /// The number of the labels, of an object that exists; a new one where there is none, `preferred` if that is free.
  func identity(of labels: IdentityLabels, preferring preferred: NumericIdentity? = nil) async throws
    -> NumericIdentity
  {
    if let task = underWay[labels] { return try await task.value }
    if let known = allocator[labels], !marked.contains(known) { return known }
    // Not the caller's own work: when the caller is cancelled, others may wait for the number.
    let task = Task {
      defer { underWay[labels] = nil }
      return try await obtain(labels, preferred)
    }
    underWay[labels] = task
    return try await task.value
  }

  private func obtain(_ labels: IdentityLabels, _ preferred: NumericIdentity?) async throws -> NumericIdentity {
    for _ in 0..<8 {
      if let known = allocator[labels] {
        if try await keep(known) { return known }
        continue
      }
      let number = try allocator.reserve(labels, preferring: preferred)
      do throws(KubernetesError) {
        _ = try await api.create(CiliumIdentity.resource, IdentityService.object(number, labels))
        allocator.confirm(labels)
        return number
      } catch {
        allocator.release(labels)
        guard error.isConflict else { throw error }
        logger.debug("identity \(number) is taken; reading the identities again")
        try await readAgain()
      }
    }
    throw IdentityError(description: "no identity for \(labels): every number that was tried is taken")
  }

  /// Takes the mark from an identity; false when it has been deleted.
  private func keep(_ identity: NumericIdentity) async throws(KubernetesError) -> Bool {
    guard marked.contains(identity) else { return true }
    do throws(KubernetesError) {
      _ = try await api.patch(
        CiliumIdentity.resource, namespace: nil, name: String(identity.rawValue), .merge,
        ["metadata": ["annotations": [CiliumIdentity.unusedSince: .null]]], subresource: nil)
      marked.remove(identity)
      return true
    } catch {
      guard error.isNotFound else { throw error }
      remove(identity)
      return false
    }
  }

  private func readAgain() async throws(KubernetesError) {
    let items = try await api.listAll(CiliumIdentity.resource, namespace: nil, ListOptions(limit: 500)).items
    replace(items.compactMap { try? CiliumIdentity($0) })
  }

  private static func object(_ number: NumericIdentity, _ labels: IdentityLabels) -> JSONValue {
    let namespace = labels.labels.first { $0.key == WellKnownLabel.namespace }?.value ?? ""
    return [
      "apiVersion": .string(CiliumIdentity.resource.apiVersion), "kind": "CiliumIdentity",
      "metadata": [
        "name": .string(String(number.rawValue)), "labels": [WellKnownLabel.namespace: .string(namespace)],
      ],
      "security-labels": .object(labels.sourced.mapValues(JSONValue.string)),
    ]
  }
}

extension CiliumIdentity {
  var number: NumericIdentity { NumericIdentity(rawValue: identity) }
  fileprivate var identityLabels: IdentityLabels { IdentityLabels(sourced: securityLabels) }
}

struct IdentityError: Error, CustomStringConvertible {
  let description: String
}
