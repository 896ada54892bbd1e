import JSON

/// One element of `ingress`, `ingressDeny`, `egress` or `egressDeny`: which peers, on which ports.
///
/// Peers and ports must both match. Absent and empty differ:
/// - no peer field at all, with ports: every peer;
/// - no peer field and no ports, written `{}`: nothing is selected, though the rule counts for default deny;
/// - a peer field that is there but empty, as in `fromEndpoints: []`: no peer;
/// - `fromEndpoints: [{}]`: every endpoint in the scope of the selector.
public struct TrafficRule: Hashable, Sendable {
  public enum Direction: String, Hashable, Sendable {
    case ingress, egress
  }

  public enum Action: String, Hashable, Sendable {
    case allow, deny
  }

  public let direction: Direction
  public let action: Action
  /// `fromEndpoints` / `toEndpoints`; this and the other peers are alternatives within the list, nil when absent.
  public let endpoints: [EndpointSelector]?
  /// `fromCIDR` / `toCIDR`.
  public let cidr: [CIDRPeer]?
  /// `fromCIDRSet` / `toCIDRSet`.
  public let cidrSet: [CIDRRule]?
  /// `fromEntities` / `toEntities`.
  public let entities: [EntityPeer]?
  /// `fromNodes` / `toNodes`.
  public let nodes: [EndpointSelector]?
  /// `toFQDNs`.
  public let fqdns: [FQDNSelector]?
  /// `toServices`.
  public let services: [ServicePeer]?
  /// `fromGroups` / `toGroups`.
  public let groups: RawField?
  /// `fromRequires` / `toRequires`: what the endpoints that other rules of this direction name must be besides. No longer
  /// in the schema of Cilium's own definitions, but in that of clusters which carry older ones.
  public let requires: [EndpointSelector]?
  /// Alternatives; nil or empty means every port.
  public let toPorts: [PortRule]?
  /// All fields of all elements of `icmps`, alternatives; nil when absent.
  public let icmps: [ICMPField]?
  public let authentication: RawField?
  /// `spec.ingress[0]`.
  public let path: String

  public init(
    direction: Direction, action: Action = .allow, endpoints: [EndpointSelector]? = nil, cidr: [CIDRPeer]? = nil,
    cidrSet: [CIDRRule]? = nil, entities: [EntityPeer]? = nil, nodes: [EndpointSelector]? = nil,
    fqdns: [FQDNSelector]? = nil, services: [ServicePeer]? = nil, groups: RawField? = nil,
    requires: [EndpointSelector]? = nil,
    toPorts: [PortRule]? = nil, icmps: [ICMPField]? = nil, authentication: RawField? = nil, path: String = ""
  ) {
    self.direction = direction
    self.action = action
    self.endpoints = endpoints
    self.cidr = cidr
    self.cidrSet = cidrSet
    self.entities = entities
    self.nodes = nodes
    self.fqdns = fqdns
    self.services = services
    self.groups = groups
    self.requires = requires
    self.toPorts = toPorts
    self.icmps = icmps
    self.authentication = authentication
    self.path = path
  }

  /// Whether any field names peers, be it an empty list.
  public var namesPeers: Bool {
    endpoints != nil || cidr != nil || cidrSet != nil || entities != nil || nodes != nil || fqdns != nil
      || services != nil || groups != nil
  }

  /// The name of a peer field in this direction: `fromCIDR` for `CIDR` on ingress.
  static func peerField(_ suffix: String, _ direction: Direction) -> String {
    (direction == .ingress ? "from" : "to") + suffix
  }
}

extension TrafficRule {
  init(_ cursor: JSONCursor, _ direction: Direction, _ action: Action) throws(FieldError) {
    func field(_ suffix: String) -> String { TrafficRule.peerField(suffix, direction) }
    var known: Set = ["toPorts", "icmps"]
    known.formUnion(["Endpoints", "CIDR", "CIDRSet", "Entities", "Nodes", "Groups", "Requires"].map(field))
    if direction == .egress { known.insert("toServices") }
    if action == .allow { known.insert("authentication") }
    if direction == .egress, action == .allow { known.insert("toFQDNs") }
    try cursor.allowOnly(known)

    let icmps = try cursor.list("icmps", ICMPField.fields(ofRule:))
    self.init(
      direction: direction, action: action,
      endpoints: try cursor.list(field("Endpoints"), EndpointSelector.init(_:)),
      cidr: try cursor.list(field("CIDR"), CIDRPeer.init(_:)),
      cidrSet: try cursor.list(field("CIDRSet"), CIDRRule.init),
      entities: try cursor.list(field("Entities"), EntityPeer.init),
      nodes: try cursor.list(field("Nodes"), EndpointSelector.init(_:)),
      fqdns: direction == .egress ? try cursor.list("toFQDNs", FQDNSelector.init) : nil,
      services: direction == .egress ? try cursor.list("toServices", ServicePeer.init) : nil,
      groups: try TrafficRule.rawList(cursor, field("Groups")),
      requires: try cursor.list(field("Requires"), EndpointSelector.init(_:)),
      toPorts: try cursor.list("toPorts") { (element) throws(FieldError) in
        try PortRule(element, direction, action)
      },
      icmps: icmps?.flatMap { $0 }, authentication: try TrafficRule.authentication(cursor), path: cursor.path)
    try checkPeerFields()
    guard icmps?.isEmpty ?? true || toPorts?.isEmpty ?? true else {
      throw FieldError(path: "\(path).icmps", message: "can not stand beside toPorts: write a rule of its own")
    }
  }

  /// Cilium refuses two kinds of peers in one rule.
  private func checkPeerFields() throws(FieldError) {
    let counts: [(suffix: String, count: Int)] = [
      ("Endpoints", endpoints?.count ?? 0), ("CIDR", cidr?.count ?? 0), ("CIDRSet", cidrSet?.count ?? 0),
      ("Entities", entities?.count ?? 0), ("Nodes", nodes?.count ?? 0), ("FQDNs", fqdns?.count ?? 0),
      ("Services", services?.count ?? 0), ("Groups", groups?.value.arrayValue?.count ?? 0),
    ]
    let used = counts.filter { $0.count > 0 }.map { TrafficRule.peerField($0.suffix, direction) }
    guard used.count < 2 else {
      throw FieldError(
        path: "\(path).\(used[1])", message: "can not stand beside \(used[0]): write one rule for each")
    }
  }

  private static func rawList(_ cursor: JSONCursor, _ key: String) throws(FieldError) -> RawField? {
    guard let member = try cursor.member(key) else { return nil }
    _ = try member.elements()
    return RawField(member)
  }

  private static func authentication(_ cursor: JSONCursor) throws(FieldError) -> RawField? {
    guard let member = try cursor.member("authentication") else { return nil }
    try member.allowOnly(["mode"])
    let mode = try member.required("mode")
    guard ["disabled", "required", "test-always-fail"].contains(try mode.string()) else {
      throw mode.error("must be disabled, required or test-always-fail, is \"\(try mode.string())\"")
    }
    return RawField(member)
  }
}
