import Addressing
import JSON

/// What is wrong with a Service as a whole, in the API server's words (Kubernetes: `ValidateService`,
/// `ValidateServiceUpdate`).
enum ServiceValidation {
  static func causes(_ service: ServiceDocument, old: ServiceDocument?) -> [APIStatus.Cause] {
    var causes = FieldCauses()
    checkType(service, &causes)
    ServicePortValidation.check(service, &causes)
    checkAffinity(service, &causes)
    checkOutside(service, &causes)
    checkLoadBalancer(service, old, &causes)
    checkClusterIPs(service, &causes)
    if let distribution = service["trafficDistribution"]?.stringValue {
      let known = ["PreferClose", "PreferSameNode", "PreferSameZone"]
      if !known.contains(distribution) {
        causes.notSupported("spec.trafficDistribution", .string(distribution), known)
      }
    }
    if let old { checkChange(service, old, &causes) }
    return causes.list
  }

  private static func checkType(_ service: ServiceDocument, _ causes: inout FieldCauses) {
    switch service.type {
    case "ExternalName":
      for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] where service[field] != nil {
        causes.forbidden("spec.\(field)", "may not be set for ExternalName services")
      }
      let name = service.text("externalName")
      if name.isEmpty {
        causes.required("spec.externalName")
      } else if !Names.isSubdomain(name.hasSuffix(".") ? String(name.dropLast()) : name) {
        causes.invalid("spec.externalName", .string(name), Names.subdomainMessage)
      }
    case "NodePort" where service.isHeadless, "LoadBalancer" where service.isHeadless:
      causes.invalid("spec.clusterIPs[0]", "None", "may not be set to 'None' for \(service.type) services")
    default: break
    }
  }

  private static func checkAffinity(_ service: ServiceDocument, _ causes: inout FieldCauses) {
    let timeout = service["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"]
    if service["sessionAffinity"] == "ClientIP", let seconds = timeout?.integerValue, !(1...86_400 ~= seconds) {
      causes.invalid(
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds", timeout, "must be greater than 0 and less than 86400")
    }
  }

  private static func checkOutside(_ service: ServiceDocument, _ causes: inout FieldCauses) {
    for (index, value) in (service["externalIPs"]?.arrayValue ?? []).enumerated() {
      let field = "spec.externalIPs[\(index)]"
      guard let address = value.stringValue.flatMap({ IPAddress($0) }) else {
        causes.invalid(field, value, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        continue
      }
      if let problem = problem(ofExternal: address) { causes.invalid(field, value, problem) }
    }
    if let policy = service["externalTrafficPolicy"], !service.isReachedFromOutside {
      causes.invalid("spec.externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    }
    if service["healthCheckNodePort"] != nil, !service.needsHealthCheckPort {
      causes.invalid(
        "spec.healthCheckNodePort", service["healthCheckNodePort"],
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'")
    }
  }

  private static func problem(ofExternal address: IPAddress) -> String? {
    func isIn(_ blocks: String...) -> Bool { blocks.contains { CIDR($0)?.contains(address) ?? false } }
    if isIn("0.0.0.0/32", "::/128") { return "may not be unspecified (0.0.0.0 or ::)" }
    if address.isLoopback { return "may not be in the loopback range (127.0.0.0/8, ::1/128)" }
    if address.isLinkLocal { return "may not be in the link-local range (169.254.0.0/16, fe80::/10)" }
    if isIn("224.0.0.0/24", "ff02::/16") {
      return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    }
    return nil
  }

  private static func checkLoadBalancer(
    _ service: ServiceDocument, _ old: ServiceDocument?, _ causes: inout FieldCauses
  ) {
    let ranges = service["loadBalancerSourceRanges"]?.arrayValue ?? []
    if !service.isLoadBalancer {
      let only = "may only be used when `type` is 'LoadBalancer'"
      if !ranges.isEmpty { causes.forbidden("spec.LoadBalancerSourceRanges", only) }
      for field in ["allocateLoadBalancerNodePorts", "loadBalancerClass"] where service[field] != nil {
        causes.forbidden("spec.\(field)", only)
      }
      return
    }
    for (index, range) in ranges.enumerated() {
      let words = (range.stringValue ?? "").split(whereSeparator: \.isWhitespace)
      if words.count != 1 || !words[0].contains("/") || CIDR(words[0]) == nil {
        causes.invalid(
          "spec.LoadBalancerSourceRanges[\(index)]", range,
          "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")
      }
    }
    if let old, old.isLoadBalancer, old["loadBalancerClass"] != service["loadBalancerClass"] {
      causes.invalid("spec.loadBalancerClass", service["loadBalancerClass"], "may not change once set")
    }
  }

  private static func checkClusterIPs(_ service: ServiceDocument, _ causes: inout FieldCauses) {
    guard service.needsClusterIP else { return }
    let all = service.clusterIPs
    func invalid(_ why: String) {
      causes.add("FieldValueInvalid", "spec.clusterIPs", "Invalid value: \(FieldCauses.goList(all)): \(why)")
    }
    if service.clusterIP.isEmpty, !all.isEmpty {
      causes.required("spec.clusterIP", "must be set when `clusterIPs` is specified")
    } else if let first = all.first, first != service.clusterIP {
      invalid("first value must match `clusterIP`")
    }
    if all.count > 2 { invalid("may only hold up to 2 values") }
    if all.contains("None") {
      if all.count > 1 { invalid("'None' must be the first and only value") }
      return
    }
    let families = service.ipFamilies
    if families.count > 2 {
      causes.add(
        "FieldValueInvalid", "spec.ipFamilies",
        "Invalid value: \(FieldCauses.goList(families)): may only hold up to 2 values")
    } else if families.count == 2, families[0] == families[1] {
      causes.duplicate("spec.ipFamilies[1]", .string(families[1]))
    }
    for (index, text) in all.enumerated() {
      guard let address = IPAddress(text) else {
        causes.invalid(
          "spec.clusterIPs[\(index)]", .string(text),
          "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")
        continue
      }
      let family = ServiceNetwork.family(address)
      if index < families.count, families[index] != family {
        causes.invalid(
          "spec.clusterIPs[\(index)]", .string(text),
          "expected an \(families[index]) value as indicated by `ipFamilies[\(index)]`")
      }
    }
    if all.count == 2, let first = IPAddress(all[0]), let second = IPAddress(all[1]), first.isIPv4 == second.isIPv4 {
      invalid("may specify no more than one IP for each IP family")
    }
  }

  /// Addresses are given once.
  private static func checkChange(
    _ service: ServiceDocument, _ old: ServiceDocument, _ causes: inout FieldCauses
  ) {
    if old.needsClusterIP, service.needsClusterIP {
      let (before, after) = (old.clusterIPs, service.clusterIPs)
      for index in 0..<min(before.count, after.count) where before[index] != after[index] {
        causes.add(
          "FieldValueInvalid", "spec.clusterIPs[\(index)]",
          "Invalid value: \(FieldCauses.goList(after)): may not change once set")
      }
      let (families, wanted) = (old.ipFamilies, service.ipFamilies)
      for index in 0..<min(families.count, wanted.count) where families[index] != wanted[index] {
        causes.add(
          "FieldValueInvalid", "spec.ipFamilies[\(index)]",
          "Invalid value: \(FieldCauses.goList(wanted)): may not change once set")
      }
    }
    if old.needsHealthCheckPort, service.needsHealthCheckPort, old.healthCheckPort != nil,
      old.healthCheckPort != service.healthCheckPort
    {
      causes.invalid("spec.healthCheckNodePort", service["healthCheckNodePort"], "field is immutable")
    }
  }
}
