import Addressing
import KubernetesAPI
import ProxyRules

extension L4Protocol {
  /// `any` is each of the protocols that carry ports.
  var numbers: [UInt8] {
    switch self {
    case .any: [TransportProtocol.tcp.rawValue, TransportProtocol.udp.rawValue, TransportProtocol.sctp.rawValue]
    case .tcp: [TransportProtocol.tcp.rawValue]
    case .udp: [TransportProtocol.udp.rawValue]
    case .sctp: [TransportProtocol.sctp.rawValue]
    case .igmp: [2]
    case .ipip: [4]
    case .ipv6: [41]
    case .gre: [47]
    case .esp: [50]
    case .ah: [51]
    case .vrrp: [112]
    }
  }
}

extension Lowering {
  mutating func terms(_ rule: TrafficRule) -> [PolicyTerm] {
    let effect: PolicyTerm.Effect = rule.action == .allow ? .allow : .deny
    if let icmps = rule.icmps, !icmps.isEmpty || (rule.toPorts ?? []).isEmpty {
      if icmps.isEmpty { return noneNamed("\(rule.path).icmps", "ICMP type", rule) }
      return icmps.map { field in
        let number = field.family == .ipv4 ? TransportProtocol.icmp.rawValue : TransportProtocol.icmpv6.rawValue
        return PolicyTerm(
          protocol: number, ports: .range(UInt16(field.type)...UInt16(field.type)), effect: effect, path: field.path)
      }
    }
    guard let ports = rule.toPorts, !ports.isEmpty else {
      return [PolicyTerm(protocol: nil, ports: .all, effect: effect, path: rule.path)]
    }
    var terms: [PolicyTerm] = []
    for port in ports { terms += self.terms(port, effect, rule) }
    return terms
  }

  private mutating func terms(
    _ portRule: PortRule, _ effect: PolicyTerm.Effect, _ rule: TrafficRule
  ) -> [PolicyTerm] {
    if let unsupported = unsupported(portRule, rule) {
      refuse(unsupported.path, "\(unsupported.what) not enforced yet; \(Lowering.staysDenied)")
      return []
    }
    if portRule.ports.isEmpty { return noneNamed(portRule.path, "port", rule) }
    var effect = effect
    if let http = portRule.rules?.http {
      let terms = http.compactMap { self.http($0) }
      if http.isEmpty {
        refuse("\(portRule.path).rules.http", "no rule allows no request; write {} for every request")
      }
      if terms.isEmpty { return [] }
      effect = .http(terms)
    }
    if let dns = portRule.rules?.dns {
      if dns.isEmpty {
        refuse(
          "\(portRule.path).rules.dns", "no rule allows no query; write matchPattern: \"*\" for every name")
        return []
      }
      effect = .dns(dns.map { NameTerm(pattern: $0.pattern, path: $0.path) })
    }
    if let names = portRule.serverNames {
      effect = .tls(names.map { NameTerm(pattern: DNSNamePattern($0.text), path: $0.path) })
    }
    return portRule.ports.flatMap { port in
      let numbers = port.protocol.numbers.filter(effect.isReadOver)
      if numbers.isEmpty {
        refuse("\(port.path).protocol", "TLS is read over TCP only; \(Lowering.staysDenied)")
      }
      return numbers.map { PolicyTerm(protocol: $0, ports: port.range, effect: effect, path: port.path) }
    }
  }

  private func unsupported(_ port: PortRule, _ rule: TrafficRule) -> (what: String, path: String)? {
    if let tls = port.terminatingTLS ?? port.originatingTLS { return ("TLS inspection is", tls.path) }
    if let listener = port.listener { return ("listeners are", listener.path) }
    guard let rules = port.rules else { return nil }
    if let kafka = rules.kafka { return ("Kafka rules are", kafka.path) }
    if let other = rules.l7proto ?? rules.l7 { return ("L7 protocols other than HTTP are", other.path) }
    return nil
  }

  /// A list is there that names nothing.
  private mutating func noneNamed(_ path: String, _ what: String, _ rule: TrafficRule) -> [PolicyTerm] {
    switch rule.action {
    case .allow:
      refuse(path, "names no \(what), so it allows nothing")
      return []
    case .deny:
      refuse(path, "names no \(what); the rule denies all of them")
      return [PolicyTerm(protocol: nil, ports: .all, effect: .deny, path: path)]
    }
  }

  /// nil, with an issue, when the rule can not be enforced; then it matches no request.
  private mutating func http(_ match: HTTPMatch) -> HTTPTerm? {
    var headers: [HTTPHeaderMatch] = []
    for header in match.headerMatches {
      guard let value = value(of: header) else { return nil }
      headers.append(
        HTTPHeaderMatch(
          name: header.name, value: value,
          mismatch: HTTPHeaderMatch.Mismatch(rawValue: header.mismatch.rawValue)))
    }
    let rule = HTTPRule(
      id: 0, method: match.method, path: match.path, host: match.host, headers: match.headers, headerMatches: headers)
    do throws(RuleError) {
      _ = try HTTPRuleMatcher(HTTPRuleSet(id: 0, rules: [rule]))
    } catch {
      refuse(match.fieldPath(of: error.field), "\(error.message); the HTTP rule matches no request")
      return nil
    }
    return HTTPTerm(rule: rule, path: match.fieldPath)
  }
}

extension PolicyTerm.Effect {
  /// Whether a protocol carries what the effect asks of it: names are asked for by UDP and TCP, TLS is read over TCP.
  /// `ANY` means those alone.
  fileprivate func isReadOver(_ number: UInt8) -> Bool {
    switch self {
    case .allow, .deny, .http: true
    case .dns: number != TransportProtocol.sctp.rawValue
    case .tls: number == TransportProtocol.tcp.rawValue
    }
  }
}

extension PortProtocol {
  fileprivate var range: PolicyTerm.Ports {
    switch port {
    case .name(let name): .named(name)
    case .number(0): .all
    case .number(let number): .range(number...max(number, endPort ?? number))
    }
  }
}

extension FQDNSelector {
  var pattern: DNSNamePattern {
    switch match {
    case .name(let text), .pattern(let text): DNSNamePattern(text)
    }
  }
}
