import Addressing
import JSON

/// What ADD answers: the interfaces, addresses and routes that a container now has (CNI 1.1.0, "ADD Success").
public struct AttachmentResult: Hashable, Sendable {
  public struct Interface: Hashable, Sendable {
    public var name: String
    public var mac: String
    /// In bytes; told since 1.1.0.
    public var mtu: Int?
    /// Path of the namespace that holds it; nil for the host's.
    public var sandbox: String?

    public init(name: String, mac: String, mtu: Int? = nil, sandbox: String? = nil) {
      self.name = name
      self.mac = mac
      self.mtu = mtu
      self.sandbox = sandbox
    }
  }

  public struct Address: Hashable, Sendable {
    public var address: IPAddress
    /// The prefix length within the address's family.
    public var length: Int
    public var gateway: IPAddress?
    /// Index into `interfaces`.
    public var interface: Int?

    public init(_ address: IPAddress, length: Int, gateway: IPAddress? = nil, interface: Int? = nil) {
      self.address = address
      self.length = length
      self.gateway = gateway
      self.interface = interface
    }
  }

  public struct Route: Hashable, Sendable {
    public var destination: CIDR
    public var gateway: IPAddress?

    public init(_ destination: CIDR, gateway: IPAddress? = nil) {
      self.destination = destination
      self.gateway = gateway
    }
  }

  public var interfaces: [Interface]
  public var addresses: [Address]
  public var routes: [Route]

  public init(interfaces: [Interface] = [], addresses: [Address] = [], routes: [Route] = []) {
    self.interfaces = interfaces
    self.addresses = addresses
    self.routes = routes
  }

  /// The document in the form of one version of the specification.
  public func json(version: CNIVersion) -> JSONValue {
    [
      "cniVersion": .string(version.rawValue),
      "interfaces": .array(interfaces.map { $0.json(version) }),
      "ips": .array(addresses.map { $0.json(version) }),
      "routes": .array(
        routes.map { route in
          var object: JSONValue = ["dst": .string(route.destination.description)]
          object["gw"] = route.gateway.map { .string($0.description) }
          return object
        }),
      "dns": [:],
    ]
  }

  /// Reads a result of any version, as `prevResult` carries it.
  public init(_ cursor: JSONCursor) throws(FieldError) {
    interfaces = []
    addresses = []
    routes = []
    for element in try cursor.member("interfaces")?.elements() ?? [] {
      interfaces.append(
        Interface(
          name: try element.required("name").string(),
          mac: try element.member("mac")?.string() ?? "",
          mtu: try element.member("mtu").map { (mtu) throws(FieldError) in Int(try mtu.integer()) },
          sandbox: try element.member("sandbox")?.string()))
    }
    for element in try cursor.member("ips")?.elements() ?? [] {
      let field = try element.required("address")
      let text = try field.string()
      let parts = text.split(separator: "/", omittingEmptySubsequences: false)
      guard parts.count == 2, let address = IPAddress(parts[0]), let length = Int(parts[1]),
        CIDR(address, length: length) != nil
      else { throw field.error("\"\(text)\" is not an address with a prefix length") }
      addresses.append(
        Address(
          address, length: length, gateway: try element.member("gateway").map(AttachmentResult.address),
          interface: try element.member("interface").map { (index) throws(FieldError) in Int(try index.integer()) }))
    }
    for element in try cursor.member("routes")?.elements() ?? [] {
      let field = try element.required("dst")
      guard let destination = CIDR(try field.string()) else { throw field.error("is not a CIDR") }
      routes.append(Route(destination, gateway: try element.member("gw").map(AttachmentResult.address)))
    }
  }

  private static func address(_ cursor: JSONCursor) throws(FieldError) -> IPAddress {
    guard let address = IPAddress(try cursor.string()) else { throw cursor.error("is not an IP address") }
    return address
  }
}

extension AttachmentResult.Interface {
  fileprivate func json(_ version: CNIVersion) -> JSONValue {
    var object: JSONValue = ["name": .string(name)]
    if !mac.isEmpty { object["mac"] = .string(mac) }
    object["sandbox"] = sandbox.map { .string($0) }
    if version >= .v110 { object["mtu"] = mtu.map { .integer(Int64($0)) } }
    return object
  }
}

extension AttachmentResult.Address {
  fileprivate func json(_ version: CNIVersion) -> JSONValue {
    var object: JSONValue = ["address": .string("\(address)/\(length)")]
    if version < .v100 { object["version"] = address.isIPv4 ? "4" : "6" }
    object["gateway"] = gateway.map { .string($0.description) }
    object["interface"] = interface.map { .integer(Int64($0)) }
    return object
  }
}
