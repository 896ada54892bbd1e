import JSON

/// What the server fills into a Service, and what it takes over or drops in an update, before it is checked (Kubernetes:
/// `SetDefaults_Service`, the Service strategy).
enum ServiceShaping {
  static func prepare(_ service: inout ServiceDocument, old: ServiceDocument?) {
    applyDefaults(&service)
    if let old {
      keepAllocated(&service, old)
      normalizeClusterIPs(&service, old)
      dropForeignFields(&service, old)
    } else if !service.clusterIP.isEmpty, service["clusterIPs"] == nil {
      service.clusterIPs = [service.clusterIP]
    }
    if !service.isLoadBalancer { service.value["status"] = statusWithoutLoadBalancer(service) }
  }

  private static func applyDefaults(_ service: inout ServiceDocument) {
    // Clients in Go can not tell an empty value from none.
    for field in [
      "type", "sessionAffinity", "clusterIP", "loadBalancerIP", "externalName", "externalTrafficPolicy",
    ] where service[field]?.stringValue == "" {
      service[field] = nil
    }
    if service["healthCheckNodePort"] == 0 { service["healthCheckNodePort"] = nil }
    if service["type"] == nil { service["type"] = "ClusterIP" }
    switch service["sessionAffinity"] {
    case nil: service["sessionAffinity"] = "None"
    case "ClientIP":
      if service["sessionAffinityConfig"]?["clientIP"]?["timeoutSeconds"] == nil {
        service["sessionAffinityConfig"] = ["clientIP": ["timeoutSeconds": 10_800]]
      }
    default: break
    }
    if service["sessionAffinity"] == "None" { service["sessionAffinityConfig"] = nil }
    if service["ports"] != nil { service.ports = service.ports.map(withDefaults) }
    if service.isReachedFromOutside, service["externalTrafficPolicy"] == nil {
      service["externalTrafficPolicy"] = "Cluster"
    }
    if service.needsClusterIP, service["internalTrafficPolicy"] == nil { service["internalTrafficPolicy"] = "Cluster" }
    if service.isLoadBalancer, service["allocateLoadBalancerNodePorts"] == nil {
      service["allocateLoadBalancerNodePorts"] = true
    }
  }

  private static func withDefaults(_ port: JSONValue) -> JSONValue {
    guard port.objectValue != nil else { return port }
    var port = port
    if port["name"] == "" { port["name"] = nil }
    if (port["protocol"] ?? "") == "" { port["protocol"] = "TCP" }
    if [nil, 0, ""].contains(port["targetPort"]) { port["targetPort"] = port["port"] }
    if port["nodePort"] == 0 { port["nodePort"] = nil }
    return port
  }

  /// An update that leaves out what was allocated keeps it.
  private static func keepAllocated(_ service: inout ServiceDocument, _ old: ServiceDocument) {
    if old.needsClusterIP, service.needsClusterIP {
      if service["clusterIP"] == nil { service["clusterIP"] = old["clusterIP"] }
      if service["clusterIPs"] == nil, service.clusterIP == old.clusterIP { service["clusterIPs"] = old["clusterIPs"] }
      for field in ["ipFamilies", "ipFamilyPolicy"] where service[field] == nil { service[field] = old[field] }
    }
    if old.canHaveNodePorts, service.canHaveNodePorts {
      let used = Set(old.ports.compactMap { ServiceDocument.port($0["nodePort"]) })
        .intersection(service.ports.compactMap { ServiceDocument.port($0["nodePort"]) })
      var byName: [String: UInt16] = [:]
      for port in old.ports { byName[port["name"]?.stringValue ?? ""] = ServiceDocument.port(port["nodePort"]) }
      for (index, port) in service.ports.enumerated() where port["nodePort"] == nil {
        guard let number = byName[port["name"]?.stringValue ?? ""], !used.contains(number) else { continue }
        service.ports[index]["nodePort"] = .integer(Int64(number))
      }
    }
    if old.needsHealthCheckPort, service.needsHealthCheckPort, service["healthCheckNodePort"] == nil {
      service["healthCheckNodePort"] = old["healthCheckNodePort"]
    }
  }

  /// Clients that know `clusterIP` only do not have to know its other form.
  private static func normalizeClusterIPs(_ service: inout ServiceDocument, _ old: ServiceDocument) {
    guard service.clusterIP != old.clusterIP, service.clusterIPs == old.clusterIPs else { return }
    service.clusterIPs = service.clusterIP.isEmpty ? [] : [service.clusterIP]
  }

  /// What the former type needed and the new one does not goes, unless the client has changed that, too: then it is told.
  private static func dropForeignFields(_ service: inout ServiceDocument, _ old: ServiceDocument) {
    func drop(_ field: String) {
      if service[field] == old[field] { service[field] = nil }
    }
    if old.needsClusterIP, !service.needsClusterIP {
      for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] { drop(field) }
      drop("internalTrafficPolicy")
    }
    if old.canHaveNodePorts, !service.canHaveNodePorts {
      let before = old.ports.map { $0["nodePort"] }
      if service.ports.enumerated().allSatisfy({ $1["nodePort"] == nil || before.contains($1["nodePort"]) }) {
        for index in service.ports.indices { service.ports[index]["nodePort"] = nil }
      }
    }
    if old.needsHealthCheckPort, !service.needsHealthCheckPort { drop("healthCheckNodePort") }
    if old.isLoadBalancer, !service.isLoadBalancer {
      drop("allocateLoadBalancerNodePorts")
      drop("loadBalancerClass")
    }
    if old.isReachedFromOutside, !service.isReachedFromOutside { drop("externalTrafficPolicy") }
  }

  private static func statusWithoutLoadBalancer(_ service: ServiceDocument) -> JSONValue {
    var status = service.value["status"] ?? [:]
    status["loadBalancer"] = [:]
    return LoadBalancerAddresses.withoutCondition(status)
  }
}
