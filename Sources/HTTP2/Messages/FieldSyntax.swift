/// What holds for the fields of every message (RFC 9113, 8.2).
extension HeaderList {
  /// Checks name and value of a field that is no pseudo field.
  @inline(__always)
  func fault(ofField index: Int) -> HTTP2Fault? {
    let name = namePointer(index)
    let count = nameCount(index)
    // The static table's names are known to be good, and mostly what comes.
    if self[index].nameNumber == 0 {
      guard count > 0 else { return .invalidFieldName }
      for at in 0..<count where !Octet.isToken(name[at]) || name[at] &- 0x41 < 26 { return .invalidFieldName }
    }
    if let fault = fault(ofValue: index) { return fault }
    switch count {
    case 2 where Octet.isEqual(name, count, "te"):
      return Octet.isEqual(valuePointer(index), valueCount(index), "trailers") ? nil : .unexpectedTE
    case 7 where Octet.isEqual(name, count, "upgrade"), 10 where Octet.isEqual(name, count, "connection"),
      10 where Octet.isEqual(name, count, "keep-alive"), 16 where Octet.isEqual(name, count, "proxy-connection"),
      17 where Octet.isEqual(name, count, "transfer-encoding"):
      return .connectionField
    default: return nil
    }
  }

  @inline(__always)
  func fault(ofValue index: Int) -> HTTP2Fault? {
    let value = valuePointer(index)
    let count = valueCount(index)
    guard count > 0 else { return nil }
    if Octet.isSpace(value[0]) || Octet.isSpace(value[count &- 1]) { return .invalidFieldValue }
    for at in 0..<count where !Octet.isFieldValue(value[at]) { return .invalidFieldValue }
    return nil
  }

  @inline(__always)
  func isPseudo(_ index: Int) -> Bool { nameCount(index) > 0 && namePointer(index)[0] == Octet.colon }

  public func isNamed(_ index: Int, _ name: StaticString) -> Bool {
    Octet.isEqual(namePointer(index), nameCount(index), name)
  }

  /// Checks a trailer section (RFC 9113, 8.1): no pseudo fields, and nothing that a recipient who merges it into the head
  /// must not find there (RFC 9110, 6.5.1).
  public func faultOfTrailers() -> HTTP2Fault? {
    for index in 0..<count {
      if isPseudo(index) { return .pseudoFieldInTrailers }
      if let fault = fault(ofField: index) { return fault }
      if isNamed(index, "content-length") || isNamed(index, "host") { return .invalidTrailer }
    }
    return nil
  }
}

/// What a message says of its body's length, and how much of it is still to come (RFC 9113, 8.1.1).
public struct BodyLength {
  /// nil: nothing was said.
  private var rest: Int?

  public init() {}

  /// Whether the message says how long its body is.
  public var isKnown: Bool { rest != nil }

  mutating func read(_ list: HeaderList, _ index: Int) -> HTTP2Fault? {
    let value = list.valuePointer(index)
    let count = list.valueCount(index)
    guard rest == nil, count > 0, count <= 18 else { return .invalidContentLength }
    var number = 0
    for at in 0..<count {
      guard Octet.isDigit(value[at]) else { return .invalidContentLength }
      number = number &* 10 &+ Int(value[at] &- 0x30)
    }
    rest = number
    return nil
  }

  /// The message has no body, whatever its length says: a response to HEAD, or a 304.
  public mutating func ignore() { rest = nil }

  /// Octets of the body have come, and perhaps its end.
  @inline(__always)
  public mutating func take(_ octets: Int, isLast: Bool) -> HTTP2Fault? {
    guard let before = rest else { return nil }
    guard octets <= before, !isLast || octets == before else { return .bodyDiffersFromLength }
    rest = before &- octets
    return nil
  }
}
