import Addressing
import JSON

/// Which address families a Service has (Kubernetes: `initIPFamilyFields`).
enum ServiceFamilies {
  /// Fills in `ipFamilies` and `ipFamilyPolicy`; tells what can not be.
  static func complete(
    _ service: inout ServiceDocument, old: ServiceDocument?, _ network: ServiceNetwork
  ) -> [APIStatus.Cause] {
    guard service.needsClusterIP, !network.families.isEmpty else { return [] }
    var causes = FieldCauses()
    if let old, old.needsClusterIP { release(&service, old, &causes) }
    if service.wantsOneFamily, service.ipFamilyPolicy != nil || !isHeadlessWithoutSelector(service) {
      let policy = service["ipFamilyPolicy"] ?? .null
      let need = "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
      if service.clusterIPs.count == 2 {
        causes.invalid("spec.ipFamilyPolicy", policy, "\(need) cluster IPs are specified")
      }
      if service.ipFamilies.count == 2 {
        causes.invalid("spec.ipFamilyPolicy", policy, "\(need) IP families are specified")
      }
    }
    infer(&service, network, &causes)
    guard causes.list.isEmpty else { return causes.list }
    if isHeadlessWithoutSelector(service) {
      // Whoever writes the endpoints decides; the families say nothing about the cluster.
      if service.ipFamilyPolicy == nil { service["ipFamilyPolicy"] = "RequireDualStack" }
      addFamilies(&service, network)
      return []
    }
    for (index, family) in service.ipFamilies.enumerated() where !network.families.contains(family) {
      causes.invalid("spec.ipFamilies[\(index)]", .string(family), "not configured on this cluster")
    }
    if service.ipFamilyPolicy == "RequireDualStack", network.families.count < 2 {
      causes.invalid(
        "spec.ipFamilyPolicy", "RequireDualStack", "this cluster is not configured for dual-stack services")
    }
    guard causes.list.isEmpty else { return causes.list }
    if service.ipFamilyPolicy == nil { service["ipFamilyPolicy"] = "SingleStack" }
    addFamilies(&service, network)
    return []
  }

  private static func isHeadlessWithoutSelector(_ service: ServiceDocument) -> Bool {
    service.isHeadless && !service.hasSelector
  }

  /// An update from two families to one: SingleStack alone is enough to mean it.
  private static func release(
    _ service: inout ServiceDocument, _ old: ServiceDocument, _ causes: inout FieldCauses
  ) {
    if service.wantsOneFamily {
      if service.clusterIPs == old.clusterIPs { service.clusterIPs = Array(service.clusterIPs.prefix(1)) }
      if service.ipFamilies == old.ipFamilies { service.ipFamilies = Array(service.ipFamilies.prefix(1)) }
      return
    }
    let policy = service["ipFamilyPolicy"] ?? .null
    if old.clusterIPs.count == 2, service.clusterIPs.count == 1, old.clusterIPs.first == service.clusterIPs.first {
      causes.invalid("spec.ipFamilyPolicy", policy, "must be 'SingleStack' to release the secondary cluster IP")
    }
    if old.ipFamilies.count == 2, service.ipFamilies.count == 1, old.ipFamilies.first == service.ipFamilies.first {
      causes.invalid("spec.ipFamilyPolicy", policy, "must be 'SingleStack' to release the secondary IP family")
    }
  }

  /// The addresses that a client asks for say their families.
  private static func infer(
    _ service: inout ServiceDocument, _ network: ServiceNetwork, _ causes: inout FieldCauses
  ) {
    for (index, text) in service.clusterIPs.enumerated() where index >= service.ipFamilies.count {
      guard let family = IPAddress(text).map({ (address: IPAddress) in ServiceNetwork.family(address) }) else { return }
      if network.families.contains(family) {
        service.ipFamilies.append(family)
      } else {
        causes.add(
          "FieldValueInvalid", "spec.clusterIPs[\(index)]",
          "Invalid value: \(FieldCauses.goList(service.clusterIPs)): \(family) is not configured on this cluster")
      }
    }
  }

  private static func addFamilies(_ service: inout ServiceDocument, _ network: ServiceNetwork) {
    if service.ipFamilies.isEmpty { service.ipFamilies = Array(network.families.prefix(1)) }
    guard !service.wantsOneFamily, service.ipFamilies.count == 1 else { return }
    let other = service.ipFamilies == ["IPv4"] ? "IPv6" : "IPv4"
    if network.families.contains(other) || isHeadlessWithoutSelector(service) { service.ipFamilies.append(other) }
  }
}
