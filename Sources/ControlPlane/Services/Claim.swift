import Addressing
import JSON

/// Something that only one Service of the cluster can have. The store keeps an index of who holds what, made from the
/// objects themselves, so that a claim begins and ends with the write of the object.
enum Claim: Hashable, Sendable {
  case clusterIP(IPAddress)
  /// As the API server of Kubernetes has it, a number belongs to one Service in all protocols.
  case nodePort(UInt16)
  case loadBalancerIP(IPAddress)

  /// What a stored object holds.
  static func claims(of value: JSONValue, _ key: ObjectKey) -> [Claim] {
    guard key.resource == "services" else { return [] }
    let service = ServiceDocument(value)
    var claims = service.clusterIPs.compactMap { IPAddress($0).map(Claim.clusterIP) }
    claims += Set(service.nodePorts).map(Claim.nodePort)
    if service.type == "LoadBalancer" {
      claims += service.loadBalancerIPs.compactMap { IPAddress($0).map(Claim.loadBalancerIP) }
    }
    return claims
  }

  var isLoadBalancerIP: Bool {
    if case .loadBalancerIP = self { true } else { false }
  }
}
