import JSON
import KubernetesAPI
import Policy

/// What policies name besides themselves: Services with their endpoints, and CiliumCIDRGroups.
struct ReferredObjects {
  static let kinds: Set = [
    Service.resource.kind, EndpointSlice.resource.kind, Endpoints.resource.kind, CiliumCIDRGroup.resource.kind,
  ]

  private var book = PolicyBook(node: "")

  var context: PolicyContext { book.context }

  /// Takes one in, in place of an earlier one of its name; what is none, or can not be read, is passed over.
  mutating func add(_ value: JSONValue) {
    if let input = ReferredObjects.input(value) { _ = book.apply(input) }
  }

  private static func input(_ value: JSONValue) -> ClusterInput? {
    switch value["kind"]?.stringValue {
    case Service.resource.kind: (try? Service(value)).map { .services(.applied($0)) }
    case EndpointSlice.resource.kind: (try? EndpointSlice(value)).map { .endpointSlices(.applied($0)) }
    case Endpoints.resource.kind: (try? Endpoints(value)).map { .endpoints(.applied($0)) }
    case CiliumCIDRGroup.resource.kind: (try? CiliumCIDRGroup(value)).map { .cidrGroups(.applied($0)) }
    default: nil
    }
  }
}
