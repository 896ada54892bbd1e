import JSON

/// The columns that `kubectl get` prints for the built-in kinds.
enum BuiltinColumns {
  typealias Cell = @Sendable (JSONValue) -> JSONValue

  static let name = PrinterColumn(name: "Name", format: "name", description: "Name must be unique within a namespace.")
  {
    object, _ in object["metadata"]?["name"] ?? ""
  }

  static let age = PrinterColumn(name: "Age", description: "Time since the creation.") { object, now in
    .string(
      object.scalarText(at: ["metadata", "creationTimestamp"]).map { Age.text(since: $0, now: now) } ?? "<unknown>")
  }

  private static func column(
    _ name: String, type: String = "string", wide: Bool = false, _ cell: @escaping Cell
  ) -> PrinterColumn {
    PrinterColumn(name: name, type: type, priority: wide ? 1 : 0) { object, _ in cell(object) }
  }

  private static func text(_ name: String, wide: Bool = false, or missing: String = "<none>", _ path: String...)
    -> PrinterColumn
  {
    column(name, wide: wide) { .string($0.scalarText(at: path).flatMap { $0.isEmpty ? nil : $0 } ?? missing) }
  }

  private static func joined(_ values: [String], limit: Int = .max) -> JSONValue {
    if values.isEmpty { return "<none>" }
    let shown = values.prefix(limit).joined(separator: ",")
    return .string(values.count > limit ? "\(shown) + \(values.count - limit) more..." : shown)
  }

  static func selector(_ value: JSONValue?) -> String {
    var parts =
      (value?["matchLabels"] ?? value)?.objectValue?.compactMapValues(\.stringValue)
      .map { "\($0.key)=\($0.value)" }.sorted() ?? []
    for expression in value?["matchExpressions"]?.arrayValue ?? [] {
      let key = expression["key"]?.stringValue ?? ""
      let values = expression["values"]?.arrayValue?.compactMap(\.stringValue).joined(separator: ",") ?? ""
      switch expression["operator"]?.stringValue {
      case "Exists": parts.append(key)
      case "DoesNotExist": parts.append("!\(key)")
      case "NotIn": parts.append("\(key) notin (\(values))")
      default: parts.append("\(key) in (\(values))")
      }
    }
    return parts.isEmpty ? "<none>" : parts.joined(separator: ",")
  }

  static func count(_ title: String, _ member: String) -> PrinterColumn {
    column(title, type: "integer") { object in
      .integer(Int64((object[member]?.objectValue?.count ?? object[member]?.arrayValue?.count ?? 0)))
    }
  }

  static let namespace = [name, text("Status", or: "", "status", "phase"), age]
  static let configMap = [
    name,
    column("Data", type: "integer") { object in
      .integer(Int64((object["data"]?.objectValue?.count ?? 0) + (object["binaryData"]?.objectValue?.count ?? 0)))
    },
    age,
  ]
  static let secret = [name, text("Type", or: "", "type"), count("Data", "data"), age]
  static let serviceAccount = [name, count("Secrets", "secrets"), age]
  static let networkPolicy = [
    name, column("Pod-Selector") { .string(selector($0["spec"]?["podSelector"])) }, age,
  ]
  static let lease = [name, text("Holder", or: "", "spec", "holderIdentity"), age]
  static let customResourceDefinition = [
    name,
    PrinterColumn(name: "Created At", type: "date") { object, _ in
      object["metadata"]?["creationTimestamp"] ?? .null
    },
  ]

  static let event: [PrinterColumn] = [
    PrinterColumn(name: "Last Seen") { object, now in
      let time =
        object["lastTimestamp"]?.stringValue ?? object["eventTime"]?.stringValue
        ?? object.scalarText(at: ["metadata", "creationTimestamp"])
      return .string(time.map { Age.text(since: $0, now: now) } ?? "<unknown>")
    },
    text("Type", or: "", "type"), text("Reason", or: "", "reason"),
    column("Object") { object in
      let kind = object["involvedObject"]?["kind"]?.stringValue?.lowercased() ?? ""
      return .string(kind + "/" + (object["involvedObject"]?["name"]?.stringValue ?? ""))
    },
    text("Source", wide: true, or: "", "source", "component"),
    column("Message") { .string($0["message"]?.stringValue ?? "") },
    column("Count", type: "integer", wide: true) { $0["count"] ?? 1 },
    PrinterColumn(name: "Name", format: "name", priority: 1) { object, _ in object["metadata"]?["name"] ?? "" },
  ]

  static let node: [PrinterColumn] = [
    name,
    column("Status") { object in
      let ready = object["status"]?["conditions"]?.arrayValue?.first { $0["type"] == "Ready" }
      var status =
        switch ready?["status"]?.stringValue {
        case "True": "Ready"
        case .some: "NotReady"
        case nil: "Unknown"
        }
      if object["spec"]?["unschedulable"]?.boolValue == true { status += ",SchedulingDisabled" }
      return .string(status)
    },
    column("Roles") { object in
      let prefix = "node-role.kubernetes.io/"
      let roles = object["metadata"]?["labels"]?.objectValue?.keys.filter { $0.hasPrefix(prefix) }
        .map { String($0.dropFirst(prefix.count)) }.sorted()
      return joined(roles ?? [])
    },
    age, text("Version", or: "", "status", "nodeInfo", "kubeletVersion"),
    column("Internal-IP", wide: true) { .string(address($0, "InternalIP")) },
    column("External-IP", wide: true) { .string(address($0, "ExternalIP")) },
    text("OS-Image", wide: true, or: "<unknown>", "status", "nodeInfo", "osImage"),
    text("Kernel-Version", wide: true, or: "<unknown>", "status", "nodeInfo", "kernelVersion"),
    text("Container-Runtime", wide: true, or: "<unknown>", "status", "nodeInfo", "containerRuntimeVersion"),
  ]

  private static func address(_ node: JSONValue, _ type: JSONValue) -> String {
    node["status"]?["addresses"]?.arrayValue?.first { $0["type"] == type }?["address"]?.stringValue ?? "<none>"
  }

  static let pod: [PrinterColumn] = [
    name,
    column("Ready") { pod in
      let statuses = pod["status"]?["containerStatuses"]?.arrayValue ?? []
      let ready = statuses.count { $0["ready"]?.boolValue == true }
      return .string("\(ready)/\(pod["spec"]?["containers"]?.arrayValue?.count ?? 0)")
    },
    column("Status") { .string(podStatus($0)) },
    column("Restarts") { pod in
      let statuses = pod["status"]?["containerStatuses"]?.arrayValue ?? []
      return .string(String(statuses.reduce(0) { $0 + ($1["restartCount"]?.integerValue ?? 0) }))
    },
    age,
    column("IP", wide: true) { pod in
      let addresses = pod["status"]?["podIPs"]?.arrayValue?.compactMap { $0["ip"]?.stringValue } ?? []
      return .string(addresses.first ?? pod["status"]?["podIP"]?.stringValue ?? "<none>")
    },
    text("Node", wide: true, "spec", "nodeName"), text("Nominated Node", wide: true, "status", "nominatedNodeName"),
    column("Readiness Gates", wide: true) { _ in "<none>" },
  ]

  private static func podStatus(_ pod: JSONValue) -> String {
    var status = pod["status"]?["reason"]?.stringValue ?? pod["status"]?["phase"]?.stringValue ?? "Pending"
    for container in pod["status"]?["containerStatuses"]?.arrayValue ?? [] {
      let state = container["state"]
      if let reason = (state?["waiting"]?["reason"] ?? state?["terminated"]?["reason"])?.stringValue, !reason.isEmpty {
        status = reason
      } else if let code = state?["terminated"]?["exitCode"]?.integerValue {
        status = "ExitCode:\(code)"
      }
    }
    return pod["metadata"]?["deletionTimestamp"] == nil ? status : "Terminating"
  }

  static let service: [PrinterColumn] = [
    name, text("Type", or: "", "spec", "type"), text("Cluster-IP", "spec", "clusterIP"),
    column("External-IP") { service in
      let ingress = service["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
      var addresses = ingress.compactMap { ($0["ip"] ?? $0["hostname"])?.stringValue }
      addresses += service["spec"]?["externalIPs"]?.arrayValue?.compactMap(\.stringValue) ?? []
      switch service["spec"]?["type"]?.stringValue {
      case "ExternalName": return service["spec"]?["externalName"] ?? "<none>"
      case "LoadBalancer" where addresses.isEmpty: return "<pending>"
      default: return joined(addresses)
      }
    },
    column("Port(s)") { service in
      joined(
        (service["spec"]?["ports"]?.arrayValue ?? []).map { port in
          let number = port["port"]?.integerValue ?? 0
          let node = port["nodePort"]?.integerValue.map { ":\($0)" } ?? ""
          return "\(number)\(node)/\(port["protocol"]?.stringValue ?? "TCP")"
        })
    },
    age, column("Selector", wide: true) { .string(selector($0["spec"]?["selector"])) },
  ]

  static let endpoints: [PrinterColumn] = [
    name,
    column("Endpoints") { object in
      var list: [String] = []
      for subset in object["subsets"]?.arrayValue ?? [] {
        let ports = subset["ports"]?.arrayValue?.compactMap { $0["port"]?.integerValue } ?? []
        for address in subset["addresses"]?.arrayValue?.compactMap({ $0["ip"]?.stringValue }) ?? [] {
          let host = address.contains(":") ? "[\(address)]" : address
          list += ports.isEmpty ? [address] : ports.map { "\(host):\($0)" }
        }
      }
      return joined(list, limit: 3)
    },
    age,
  ]

  static let endpointSlice: [PrinterColumn] = [
    name, text("AddressType", or: "", "addressType"),
    column("Ports") { object in
      let ports = (object["ports"]?.arrayValue ?? []).map { $0["port"]?.integerValue.map { String($0) } ?? "*" }
      return ports.isEmpty ? "<unset>" : joined(ports, limit: 3)
    },
    column("Endpoints") { object in
      let addresses = (object["endpoints"]?.arrayValue ?? []).flatMap {
        $0["addresses"]?.arrayValue?.compactMap(\.stringValue) ?? []
      }
      return addresses.isEmpty ? "<unset>" : joined(addresses, limit: 3)
    },
    age,
  ]

  static let ingress: [PrinterColumn] = [
    name, text("Class", "spec", "ingressClassName"),
    column("Hosts") { object in
      let hosts = (object["spec"]?["rules"]?.arrayValue ?? []).compactMap { $0["host"]?.stringValue }
      return hosts.isEmpty ? "*" : joined(hosts, limit: 3)
    },
    column("Address") { object in
      let ingress = object["status"]?["loadBalancer"]?["ingress"]?.arrayValue ?? []
      return .string(ingress.compactMap { ($0["ip"] ?? $0["hostname"])?.stringValue }.joined(separator: ","))
    },
    column("Ports") { .string($0["spec"]?["tls"] == nil ? "80" : "80, 443") }, age,
  ]
}
