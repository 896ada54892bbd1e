import JSON

/// The layer 4 protocols that a rule can name.
public enum L4Protocol: String, Hashable, Sendable, CaseIterable {
  case any = "ANY"
  case tcp = "TCP"
  case udp = "UDP"
  case sctp = "SCTP"
  case vrrp = "VRRP"
  case igmp = "IGMP"
  case gre = "GRE"
  case ipip = "IPIP"
  case ipv6 = "IPV6"
  case esp = "ESP"
  case ah = "AH"

  /// Whether its packets carry port numbers. `any` means those that do.
  public var hasPorts: Bool {
    switch self {
    case .any, .tcp, .udp, .sctp: true
    case .vrrp, .igmp, .gre, .ipip, .ipv6, .esp, .ah: false
    }
  }
}

/// One element of `toPorts[].ports`.
public struct PortProtocol: Hashable, Sendable {
  public enum Port: Hashable, Sendable {
    /// 0 stands for every port.
    case number(UInt16)
    /// The name of a container port, in lower case.
    case name(String)
  }

  public let port: Port
  /// The last port of a range that starts at a number; nil for a single port.
  public let endPort: UInt16?
  public let `protocol`: L4Protocol
  public let path: String

  public init(port: Port, endPort: UInt16? = nil, protocol: L4Protocol = .any, path: String = "") {
    self.port = port
    self.endPort = endPort
    self.protocol = `protocol`
    self.path = path
  }
}

extension PortProtocol {
  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["port", "endPort", "protocol"])
    var layer4 = L4Protocol.any
    if let member = try cursor.member("protocol"), case let name = try member.string(), !name.isEmpty {
      guard let named = L4Protocol(rawValue: name.uppercased()) else {
        throw member.error("unknown protocol \"\(name)\"")
      }
      layer4 = named
    }
    let port = try PortProtocol.port(of: cursor, layer4)
    var endPort: UInt16?
    if let member = try cursor.member("endPort"), case let end:UInt16 = try member.integer(in: 0...UInt16.max), end != 0
    {
      guard case .number(let start) = port, start != 0 else { throw member.error("needs a port number to start from") }
      guard end >= start else { throw member.error("\(end) is below the port \(start)") }
      endPort = end
    }
    self.init(port: port, endPort: endPort, protocol: layer4, path: cursor.path)
  }

  private static func port(of cursor: JSONCursor, _ layer4: L4Protocol) throws(FieldError) -> Port {
    guard layer4.hasPorts else {
      if let port = try cursor.member("port"), !["", "0"].contains(try port.string()) {
        throw port.error("\(layer4.rawValue) has no ports: must be empty or \"0\"")
      }
      return .number(0)
    }
    let member = try cursor.required("port")
    if member.value.integerValue != nil { throw member.error("must be a string: write the number in quotes") }
    let text = try member.string()
    guard !text.isEmpty else { throw member.error("required") }
    if isServiceName(text) { return .name(text.lowercased()) }
    guard text.utf8.allSatisfy({ 48...57 ~= $0 }), text == "0" || text.utf8.first != 48, let number = UInt16(text)
    else {
      throw member.error("\"\(text)\" is neither a port number (0 to 65535) nor a port name")
    }
    return .number(number)
  }

  /// RFC 6335, 5.1: at most 15 letters, digits and single inner hyphens, and a letter among them.
  private static func isServiceName(_ text: String) -> Bool {
    let bytes = Array(text.utf8)
    func isLetter(_ byte: UInt8) -> Bool { 65...90 ~= byte || 97...122 ~= byte }
    return (1...15).contains(bytes.count) && bytes.contains(where: isLetter)
      && bytes.allSatisfy { isLetter($0) || 48...57 ~= $0 || $0 == 45 }
      && bytes.first != 45 && bytes.last != 45
      && !zip(bytes, bytes.dropFirst()).contains { $0 == 45 && $1 == 45 }
  }
}
