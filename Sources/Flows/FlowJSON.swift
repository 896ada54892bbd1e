import Addressing
import Clocks
import JSON

extension Flow {
  /// The flow in the JSON form of Hubble's API (proto3 JSON with the proto's field names), wrapped as `hubble observe -o
  /// json` prints it.
  public var json: JSONValue {
    var flow: [String: JSONValue] = [
      "time": .string(Timestamp.text(time)),
      "verdict": .string(verdict.rawValue),
      "IP": [
        "source": .string(source.address.description),
        "destination": .string(destination.address.description),
        "ipVersion": source.address.isIPv4 ? "IPv4" : "IPv6",
      ],
      "source": source.json,
      "destination": destination.json,
      "Type": http == nil && dns == nil ? "L3_L4" : "L7",
      "node_name": .string(nodeName),
      "traffic_direction": .string(direction.rawValue),
      "is_reply": .bool(isReply),
    ]
    if dropReason != 0 {
      flow["drop_reason"] = .integer(Int64(dropReason))
      flow["drop_reason_desc"] = .string(DropReason.name(dropReason))
    }
    if let l4 { flow["l4"] = l4 }
    if let service {
      flow[isReply ? "source_service" : "destination_service"] = [
        "name": .string(service.name), "namespace": .string(service.namespace),
      ]
    }
    if let serverName, !serverName.isEmpty { flow["destination_names"] = [.string(serverName)] }
    if let http { flow["l7"] = http.json }
    if let dns { flow["l7"] = dns.json }
    if !traceID.isEmpty { flow["trace_context"] = ["parent": ["trace_id": .string(traceID)]] }
    func cite(_ key: String, _ policies: [PolicyReference]) {
      if !policies.isEmpty { flow[key] = .array(policies.map(\.json)) }
    }
    cite("egress_allowed_by", egressAllowedBy)
    cite("ingress_allowed_by", ingressAllowedBy)
    cite("egress_denied_by", egressDeniedBy)
    cite("ingress_denied_by", ingressDeniedBy)
    // Hubble's fields are about rules that deny; it has none for these.
    cite("denied_by_default_of", deniedByDefaultOf)
    if !policyLog.isEmpty { flow["policy_log"] = .array(policyLog.map(JSONValue.string)) }
    return ["flow": .object(flow), "node_name": .string(nodeName), "time": .string(Timestamp.text(time))]
  }

  private var l4: JSONValue? {
    func ports(_ more: [String: JSONValue] = [:]) -> JSONValue {
      let ports: [String: JSONValue] = [
        "source_port": .integer(Int64(source.port)), "destination_port": .integer(Int64(destination.port)),
      ]
      return .object(ports.merging(more) { $1 })
    }
    func message() -> JSONValue { ["type": .integer(Int64(icmpType)), "code": .integer(Int64(icmpCode))] }
    switch TransportProtocol(ipProtocol) {
    case .tcp:
      let set = tcpFlagNames.map { ($0, JSONValue.bool(true)) }
      return ["TCP": ports(set.isEmpty ? [:] : ["flags": .object(Dictionary(uniqueKeysWithValues: set))])]
    case .udp: return ["UDP": ports()]
    case .sctp: return ["SCTP": ports()]
    case .icmp: return ["ICMPv4": message()]
    case .icmpv6: return ["ICMPv6": message()]
    default: return nil
    }
  }

  /// The names of the TCP flags that are set, in the order of their bits.
  public var tcpFlagNames: [String] {
    ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"].enumerated()
      .filter { tcpFlags & (1 << $0.offset) != 0 }.map(\.element)
  }
}

extension Flow.Endpoint {
  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = ["identity": .integer(Int64(identity))]
    if id != 0 { members["ID"] = .integer(Int64(id)) }
    if !namespace.isEmpty { members["namespace"] = .string(namespace) }
    if !pod.isEmpty { members["pod_name"] = .string(pod) }
    if !labels.isEmpty { members["labels"] = .array(labels.map(JSONValue.string)) }
    return .object(members)
  }
}

extension Flow.PolicyReference {
  fileprivate var json: JSONValue {
    let object: JSONValue = ["kind": .string(kind), "namespace": .string(namespace), "name": .string(name)]
    if rule.isEmpty { return object }
    var cited = object
    cited["labels"] = [.string("martlet.io/rule=\(rule)")]
    return cited
  }
}

extension Flow.HTTP {
  fileprivate var json: JSONValue {
    var http: [String: JSONValue] = [
      "code": .integer(Int64(code)), "method": .string(method), "url": .string(url), "protocol": .string(version),
    ]
    // Hubble has no field for them.
    if !failure.isEmpty { http["failure"] = .string(failure) }
    if !route.isEmpty { http["route"] = .string(route) }
    if !cluster.isEmpty { http["cluster"] = .string(cluster) }
    if !mismatches.isEmpty { http["mismatches"] = .array(mismatches.map { .string("headerMatches[\($0)]") }) }
    return [
      "type": code == 0 ? "REQUEST" : "RESPONSE", "latency_ns": .string(String(latency)), "http": .object(http),
    ]
  }
}

extension Flow.DNS {
  fileprivate var json: JSONValue {
    var members: [String: JSONValue] = [
      "query": .string(query), "qtypes": [.string(type)], "observation_source": "proxy",
    ]
    if !addresses.isEmpty { members["ips"] = .array(addresses.map { .string($0.description) }) }
    if !addresses.isEmpty { members["ttl"] = .integer(Int64(timeToLive)) }
    if !aliases.isEmpty { members["cnames"] = .array(aliases.map(JSONValue.string)) }
    if let responseCode { members["rcode"] = .integer(Int64(responseCode)) }
    return [
      "type": responseCode == nil ? "REQUEST" : "RESPONSE", "latency_ns": .string(String(latency)),
      "dns": .object(members),
    ]
  }
}
