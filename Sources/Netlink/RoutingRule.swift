import Addressing
import CLinux
import Glibc

/// A routing policy rule (ip-rule(8)): which packets look into which table.
public struct RoutingRule: Sendable, Hashable {
  public enum Family: Sendable, Hashable, CaseIterable {
    case ipv4
    case ipv6

    var number: UInt8 { UInt8(self == .ipv4 ? AF_INET : AF_INET6) }
  }

  public var family: Family
  /// Rules are asked in ascending order; nil lets the kernel choose one below the lowest.
  public var priority: UInt32?
  public var table: RouteTable
  /// Packets whose mark, after the mask, is this.
  public var mark: UInt32?
  public var markMask: UInt32?
  public var source: CIDR?
  public var destination: CIDR?
  /// The device by which packets came in.
  public var inputInterface: String?

  public init(
    _ family: Family, table: RouteTable, priority: UInt32? = nil, mark: UInt32? = nil, markMask: UInt32? = nil,
    source: CIDR? = nil, destination: CIDR? = nil, inputInterface: String? = nil
  ) {
    self.family = family
    self.table = table
    self.priority = priority
    self.mark = mark
    self.markMask = markMask
    self.source = source
    self.destination = destination
    self.inputInterface = inputInterface
  }

  init?(_ message: NetlinkMessage) {
    // The kernel has no constant of its own for these messages' struct: fib_rule_hdr is laid out as rtmsg.
    guard message.type == RTM_NEWRULE, let header = message.header(fib_rule_hdr.self),
      let family = Family.allCases.first(where: { $0.number == header.family })
    else { return nil }
    let attributes = Attributes(of: message, after: fib_rule_hdr.self)
    self.family = family
    table = RouteTable(rawValue: attributes.number(FRA_TABLE) ?? UInt32(header.table))
    priority = attributes.number(FRA_PRIORITY) ?? 0
    mark = attributes.number(FRA_FWMARK)
    markMask = mark == nil ? nil : attributes.number(FRA_FWMASK)
    source = attributes.address(FRA_SRC).flatMap { CIDR($0, length: Int(header.src_len)) }
    destination = attributes.address(FRA_DST).flatMap { CIDR($0, length: Int(header.dst_len)) }
    inputInterface = attributes.string(FRA_IIFNAME)
  }
}

extension NetlinkHandle {
  /// The rules of both families.
  public func rules() throws(NetlinkError) -> [RoutingRule] {
    var found: [RoutingRule] = []
    for family in RoutingRule.Family.allCases {
      var header = fib_rule_hdr()
      header.family = family.number
      found += try dump(NetlinkRequest("RTM_GETRULE", RTM_GETRULE, flags: NLM_F_DUMP, header: header))
        .compactMap { RoutingRule($0) }
    }
    return found
  }

  /// Adds a rule. EEXIST when there is one that agrees in everything.
  public func addRule(_ rule: RoutingRule) throws(NetlinkError) {
    try perform(request("RTM_NEWRULE", RTM_NEWRULE, rule, flags: NLM_F_CREATE | NLM_F_EXCL))
  }

  /// Removes the first rule that agrees in all that is given; false when there is none.
  @discardableResult
  public func deleteRule(_ rule: RoutingRule) throws(NetlinkError) -> Bool {
    do throws(NetlinkError) {
      try perform(request("RTM_DELRULE", RTM_DELRULE, rule, flags: 0))
      return true
    } catch  where error.isAbsent {
      return false
    }
  }

  private func request(_ name: String, _ type: Int, _ rule: RoutingRule, flags: Int32) -> NetlinkRequest {
    var header = fib_rule_hdr()
    header.family = rule.family.number
    header.src_len = UInt8(rule.source?.length ?? 0)
    header.dst_len = UInt8(rule.destination?.length ?? 0)
    header.table = UInt8(exactly: rule.table.rawValue) ?? 0
    header.action = UInt8(FR_ACT_TO_TBL)
    var request = NetlinkRequest(
      "\(name) table \(rule.table.rawValue)", type, flags: NLM_F_ACK | flags, header: header)
    if let source = rule.source { request.payload.add(FRA_SRC, address: source.address) }
    if let destination = rule.destination { request.payload.add(FRA_DST, address: destination.address) }
    if let name = rule.inputInterface { request.payload.add(FRA_IIFNAME, string: name) }
    if let priority = rule.priority { request.payload.add(FRA_PRIORITY, number: priority) }
    if let mark = rule.mark { request.payload.add(FRA_FWMARK, number: mark) }
    if let mask = rule.markMask { request.payload.add(FRA_FWMASK, number: mask) }
    request.payload.add(FRA_TABLE, number: rule.table.rawValue)
    return request
  }
}
