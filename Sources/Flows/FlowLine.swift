import Addressing
import Clocks

extension Flow {
  /// One line for a person, in the shape of `hubble observe`'s compact output, with the rule that decided:
  ///
  ///     Nov 22 10:20:30.123: default/a:40312 (ID:300) -> default/b-0:9080 (ID:301) via default/b:80 ingress TCP SYN DROPPED (POLICY_DENIED: no rule allows it)
  public var line: String {
    let arrow = isReply ? "<-" : "->"
    return
      "\(Timestamp.compact(time)): \(source.text) \(arrow) \(destination.text)\(via) \(what) \(verdict.rawValue)\(why)\(log)"
  }

  private var via: String { service.map { " via \($0.namespace)/\($0.name):\($0.port)" } ?? "" }

  private var log: String { policyLog.isEmpty ? "" : " [\(policyLog.joined(separator: "; "))]" }

  private var what: String {
    if let http {
      let answer = http.code == 0 ? "" : " \(http.code) \(http.latency / 1000)us"
      let mismatches = http.mismatches.map { " headerMatches[\($0)] mismatch" }.joined(separator: ",")
      let route = http.route.isEmpty ? "" : " by \(http.route)\(http.cluster.isEmpty ? "" : " to \(http.cluster)")"
      return
        "http-\(http.code == 0 ? "request" : "response") \(http.method) \(http.url)\(route)\(answer)\(mismatches)"
    }
    if let dns { return dns.text }
    if let serverName {
      return
        "\(direction.rawValue.lowercased()) TLS \(serverName.isEmpty ? "without a server name" : "SNI \(serverName)")"
    }
    let detail =
      switch TransportProtocol(ipProtocol) {
      case .tcp: tcpFlags == 0 ? "TCP" : "TCP \(tcpFlagNames.joined(separator: ","))"
      case .icmp, .icmpv6: "\(protocolName) type \(icmpType) code \(icmpCode)"
      default: protocolName
      }
    return "\(direction.rawValue.lowercased()) \(detail)"
  }

  /// By whom the subject is closed; a line has room for some.
  private var selectors: String {
    guard !deniedByDefaultOf.isEmpty else { return "" }
    let named = deniedByDefaultOf.prefix(3).map(\.text).joined(separator: ", ")
    let more = deniedByDefaultOf.count > 3 ? " and \(deniedByDefaultOf.count - 3) more" : ""
    return "; \(http == nil && dns == nil && serverName == nil ? "selected by" : "by the rules of") \(named)\(more)"
  }

  private var why: String {
    if let http, !http.failure.isEmpty { return " (\(http.failure))" }
    let denied = egressDeniedBy + ingressDeniedBy
    let isDenied = verdict == .dropped || verdict == .audit
    let cited = (denied.isEmpty && !isDenied ? egressAllowedBy + ingressAllowedBy : denied)
      .map(\.text).joined(separator: ", ")
    switch (isDenied && dropReason != 0, cited.isEmpty) {
    case (true, true) where dropReason == DropReason.policyDenied:
      return " (\(DropReason.name(dropReason)): no rule allows it\(selectors))"
    case (true, true): return " (\(DropReason.name(dropReason))\(selectors))"
    case (true, false): return " (\(DropReason.name(dropReason)): \(cited))"
    case (false, false): return " (\(cited))"
    case (false, true): return ""
    }
  }
}

extension Flow.Endpoint {
  fileprivate var text: String {
    let name = pod.isEmpty ? address.bracketed : "\(namespace)/\(pod)"
    return "\(name)\(port == 0 ? "" : ":\(port)") (ID:\(identity))"
  }
}

extension Flow.PolicyReference {
  /// `CiliumNetworkPolicy default/l7-rule spec.ingress[0]`
  public var text: String {
    let object = namespace.isEmpty ? name : "\(namespace)/\(name)"
    return rule.isEmpty ? "\(kind) \(object)" : "\(kind) \(object) \(rule)"
  }
}

extension Flow.DNS {
  fileprivate var text: String {
    guard let responseCode else { return "dns-request proxy DNS Query \(query) \(type) unanswered" }
    let code = DNSCode.name(responseCode)
    let found =
      addresses.isEmpty ? "" : " \"\(addresses.map(\.description).joined(separator: ","))\" TTL: \(timeToLive)"
    return "dns-response proxy DNS Answer \(code)\(found) (Query \(query) \(type)) \(latency / 1000)us"
  }
}
