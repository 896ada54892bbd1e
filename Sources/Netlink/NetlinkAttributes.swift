import Addressing
import CLinux

/// Writes a fixed struct and the attributes (struct rtattr) that follow it.
struct AttributeWriter: Sendable {
  private(set) var bytes: [UInt8]

  init<Header: BitwiseCopyable>(header: Header) {
    bytes = Netlink.bytes(of: header)
    pad()
  }

  init() { bytes = [] }

  mutating func add(_ type: Int, _ content: some Collection<UInt8>) {
    bytes += Netlink.bytes(of: rtattr(rta_len: UInt16(4 + content.count), rta_type: UInt16(type)))
    bytes += content
    pad()
  }

  /// A number in host byte order.
  mutating func add<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Int, number: Number) {
    add(type, Netlink.bytes(of: number))
  }

  /// A name with its NUL.
  mutating func add(_ type: Int, string: String) {
    add(type, Array(string.utf8) + [0])
  }

  /// 4 bytes for IPv4, 16 for IPv6.
  mutating func add(_ type: Int, address: IPAddress) {
    add(type, address.familyBytes)
  }

  /// Attributes within an attribute, after `header` where the kernel wants one.
  mutating func add(_ type: Int, nested inner: AttributeWriter) {
    add(type, inner.bytes)
  }

  private mutating func pad() {
    bytes += repeatElement(0, count: aligned(bytes.count) - bytes.count)
  }
}

/// The attributes of a message, by type; of repeated ones the last.
struct Attributes {
  private var contents: [Int: ArraySlice<UInt8>] = [:]

  /// Reads until the end or the first length that does not fit.
  init(_ bytes: ArraySlice<UInt8>) {
    var rest = bytes
    while let header = rest.load(rtattr.self) {
      let length = Int(header.rta_len)
      guard length >= 4, length <= rest.count else { return }
      // The two upper bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
      contents[Int(header.rta_type) & 0x3fff] = rest.dropFirst(4).prefix(length - 4)
      rest = rest.dropFirst(aligned(length))
    }
  }

  /// What follows a fixed struct.
  init<Header>(of message: NetlinkMessage, after header: Header.Type) {
    self.init(message.payload.dropFirst(aligned(MemoryLayout<Header>.size)))
  }

  subscript(type: Int) -> ArraySlice<UInt8>? { contents[type] }

  func number<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Int, _: Number.Type = Number.self) -> Number? {
    contents[type]?.load(Number.self)
  }

  func string(_ type: Int) -> String? {
    contents[type].map { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  func address(_ type: Int) -> IPAddress? { contents[type].flatMap { IPAddress(bytes: $0) } }

  func mac(_ type: Int) -> MACAddress? { contents[type].flatMap { MACAddress(bytes: $0) } }

  func nested(_ type: Int) -> Attributes? { contents[type].map { Attributes($0) } }
}

extension ArraySlice<UInt8> {
  /// The struct at the start; nil when there are too few bytes.
  func load<Value: BitwiseCopyable>(_: Value.Type) -> Value? {
    guard count >= MemoryLayout<Value>.size else { return nil }
    return withUnsafeBytes { $0.loadUnaligned(as: Value.self) }
  }
}

extension NetlinkMessage {
  /// The fixed struct at the start of the payload.
  func header<Header: BitwiseCopyable>(_: Header.Type) -> Header? { payload[...].load(Header.self) }
}
