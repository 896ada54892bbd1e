import Identity
import JSON
import KubernetesAPI
import Logging

/// Gives sets of labels their numbers. The numbers are CiliumIdentity objects, so that all nodes agree and a restart finds
/// them again; the name of an object is its number, and the API server lets only one of two creators have it.
actor IdentityService {
  private let client: KubernetesClient
  private let logger: Logger
  private var allocator = IdentityAllocator()

  init(client: KubernetesClient, logger: Logger) {
    self.client = client
    self.logger = logger
  }

  /// Identities that the API knows.
  func replace(_ identities: [CiliumIdentity]) {
    allocator = IdentityAllocator(
      assignments: Dictionary(
        identities.map { (NumericIdentity(rawValue: $0.identity), IdentityLabels(sourced: $0.securityLabels)) },
        uniquingKeysWith: { first, _ in first }))
  }

  func identity(of labels: IdentityLabels) async throws -> NumericIdentity {
    if let known = allocator[labels] { return known }
    for _ in 0..<8 {
      let number = try allocator.allocate(labels)
      do throws(KubernetesError) {
        _ = try await client.create(CiliumIdentity.resource, IdentityService.object(number, labels))
        return number
      } catch {
        guard error.isConflict else {
          allocator.release(labels)
          throw error
        }
        logger.debug("identity \(number) is taken; reading the identities again")
        replace(try await client.list(CiliumIdentity.self).items)
        if let known = allocator[labels] { return known }
      }
    }
    throw IdentityError(description: "no identity for \(labels): every number that was tried is taken")
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

struct IdentityError: Error, CustomStringConvertible {
  let description: String
}
