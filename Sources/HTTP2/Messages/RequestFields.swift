/// What a request's header section says, by the numbers of its fields (RFC 9113, 8.3.1).
public struct RequestFields {
  public private(set) var method = -1
  public private(set) var path = -1
  /// `:authority`, or the host field where there is none.
  public private(set) var authority = -1
  public private(set) var isCONNECT = false
  public private(set) var isHEAD = false
  public private(set) var length = BodyLength()
  /// The first field that is no pseudo field.
  public private(set) var firstField = 0

  private var scheme = -1
  private var host = -1

  public init() {}

  /// Reads a list that is not too large; anything that two readers could take for two things is a fault.
  public mutating func read(_ list: HeaderList) -> HTTP2Fault? {
    self = RequestFields()
    while firstField < list.count, list.isPseudo(firstField) {
      if let fault = readPseudo(list, firstField) { return fault }
      firstField &+= 1
    }
    for index in firstField..<list.count {
      if list.isPseudo(index) { return .latePseudoField }
      if let fault = list.fault(ofField: index) { return fault }
      switch list.nameCount(index) {
      case 4 where list.isNamed(index, "host"):
        if host >= 0 { return .repeatedHost }
        host = index
      case 14 where list.isNamed(index, "content-length"):
        if let fault = length.read(list, index) { return fault }
      default: continue
      }
    }
    return complete(list)
  }

  private mutating func readPseudo(_ list: HeaderList, _ index: Int) -> HTTP2Fault? {
    func set(_ place: inout Int) -> HTTP2Fault? {
      if place >= 0 { return .repeatedPseudoField }
      place = index
      return nil
    }
    switch list.nameCount(index) {
    case 7 where list.isNamed(index, ":method"): return set(&method)
    case 5 where list.isNamed(index, ":path"): return set(&path)
    case 7 where list.isNamed(index, ":scheme"): return set(&scheme)
    case 10 where list.isNamed(index, ":authority"): return set(&authority)
    default: return .unknownPseudoField
    }
  }

  private mutating func complete(_ list: HeaderList) -> HTTP2Fault? {
    guard method >= 0 else { return .missingPseudoField }
    let name = list.value(method)
    guard !name.isEmpty, name.allSatisfy({ Octet.isToken($0) }) else { return .invalidMethod }
    isCONNECT = Self.spells(name, "CONNECT")
    isHEAD = Self.spells(name, "HEAD")
    if isCONNECT {
      guard path < 0, scheme < 0 else { return .unknownPseudoField }
      guard authority >= 0 else { return .missingPseudoField }
    } else {
      guard path >= 0, scheme >= 0 else { return .missingPseudoField }
      if let fault = checkTarget(list) { return fault }
    }
    return checkAuthority(list)
  }

  private func checkTarget(_ list: HeaderList) -> HTTP2Fault? {
    let scheme = list.value(self.scheme)
    guard let first = scheme.first, Octet.lowercase(first) &- 0x61 < 26,
      scheme.allSatisfy({ Octet.isHost($0) && $0 != UInt8(ascii: ":") })
    else { return .invalidScheme }
    let path = list.value(self.path)
    guard path.first == UInt8(ascii: "/") else {
      return Self.spells(path, "*") && Self.spells(list.value(method), "OPTIONS") ? nil : .invalidPath
    }
    return path.allSatisfy { Octet.isTarget($0) } ? nil : .invalidPath
  }

  private mutating func checkAuthority(_ list: HeaderList) -> HTTP2Fault? {
    guard authority >= 0 else {
      // RFC 9113 wants one for schemes that have authorities, which are all that are served here.
      guard host >= 0 else { return .missingPseudoField }
      authority = host
      return isAuthority(list.value(host)) ? nil : .invalidAuthority
    }
    guard isAuthority(list.value(authority)) else { return .invalidAuthority }
    guard host >= 0 else { return nil }
    let one = list.value(authority)
    let other = list.value(host)
    guard one.count == other.count else { return .hostDiffersFromAuthority }
    for index in 0..<one.count where Octet.lowercase(one[index]) != Octet.lowercase(other[index]) {
      return .hostDiffersFromAuthority
    }
    return nil
  }

  private func isAuthority(_ text: UnsafeRawBufferPointer) -> Bool {
    !text.isEmpty && text.allSatisfy { Octet.isHost($0) }
  }

  private static func spells(_ text: UnsafeRawBufferPointer, _ expected: StaticString) -> Bool {
    guard let bytes = text.baseAddress else { return expected.utf8CodeUnitCount == 0 }
    return Octet.isEqual(bytes.assumingMemoryBound(to: UInt8.self), text.count, expected)
  }
}

/// What a response's header section says (RFC 9113, 8.3.2).
public struct ResponseFields {
  /// 100 to 999.
  public private(set) var status = 0
  public private(set) var length = BodyLength()

  public init() {}

  public var isInterim: Bool { status < 200 }

  public mutating func read(_ list: HeaderList) -> HTTP2Fault? {
    self = ResponseFields()
    guard list.count > 0, list.isPseudo(0) else { return .missingPseudoField }
    guard list.isNamed(0, ":status") else { return .unknownPseudoField }
    let text = list.value(0)
    guard text.count == 3, text.allSatisfy({ Octet.isDigit($0) }), text[0] != UInt8(ascii: "0") else {
      return .invalidStatus
    }
    status = text.reduce(0) { $0 &* 10 &+ Int($1 &- 0x30) }
    // There is no switching of protocols in HTTP/2 (RFC 9113, 8.6).
    if status == 101 { return .invalidStatus }
    for index in 1..<list.count {
      if list.isPseudo(index) { return list.isNamed(index, ":status") ? .repeatedPseudoField : .unknownPseudoField }
      if let fault = list.fault(ofField: index) { return fault }
      if list.nameCount(index) == 14, list.isNamed(index, "content-length"), let fault = length.read(list, index) {
        return fault
      }
    }
    return nil
  }
}
