import JSON

// Scalars, enums and well-known types of proto3's JSON mapping.
extension JSONCursor {
  /// An integer: a number without a fraction, or its decimal digits as a string.
  func protobufInteger<Value: FixedWidthInteger & Sendable>() throws(FieldError) -> Value {
    let value: Value?
    switch self.value {
    case .integer(let integer): value = Value(exactly: integer)
    case .number(let number): value = Value(exactly: number)
    case .string(let text): value = Value(text)
    default: throw error("must be an integer, is \(self.value.typeName)")
    }
    guard let value else { throw error("must be an integer from \(Value.min) to \(Value.max)") }
    return value
  }

  func protobufInteger<Value: FixedWidthInteger & Sendable>(
    in range: ClosedRange<Value>
  ) throws(FieldError) -> Value {
    let value: Value = try protobufInteger()
    guard range.contains(value) else {
      throw error("must be from \(range.lowerBound) to \(range.upperBound), is \(value)")
    }
    return value
  }

  /// An enum's value by its name, or by its number, which is its place in `names`; places without a value are empty.
  func protobufEnum(_ names: [String]) throws(FieldError) -> String {
    if let text = value.stringValue, !text.isEmpty, names.contains(text) { return text }
    if let number = value.integerValue, let index = Int(exactly: number), names.indices.contains(index),
      !names[index].isEmpty
    {
      return names[index]
    }
    throw error("must be one of \(names.filter { !$0.isEmpty }.joined(separator: ", "))")
  }

  /// `google.protobuf.Duration`: `1.5s`, with up to nine digits behind the point, within about 10,000 years.
  func protobufDuration() throws(FieldError) -> Duration {
    let text = try string()
    guard let duration = Duration(protobuf: text) else {
      throw error("must be a duration like \"1.5s\", is \"\(text)\"")
    }
    return duration
  }

  /// A duration that must not be negative.
  func protobufTimeout() throws(FieldError) -> Duration {
    let duration = try protobufDuration()
    guard duration >= .zero else { throw error("must not be negative") }
    return duration
  }

  /// `bytes`: base64 in either alphabet, with or without padding.
  func protobufBytes() throws(FieldError) -> [UInt8] {
    guard let bytes = Base64.decodeLeniently(try string()) else { throw error("is not base64") }
    return bytes
  }

  /// The name behind the last slash of `@type`.
  func protobufType() throws(FieldError) -> String {
    let type = try required("@type")
    let url = try type.string()
    guard let slash = url.lastIndex(of: "/"), url.index(after: slash) < url.endIndex else {
      throw type.error("must be a type's address like type.googleapis.com/envoy.config.listener.v3.Listener")
    }
    return String(url[url.index(after: slash)...])
  }

  /// The cursor of `@type`, for refusals.
  func unsupportedType(_ allowed: String) throws(FieldError) -> FieldError {
    try required("@type").error("\(try protobufType()) is not supported; \(allowed)")
  }
}

extension Duration {
  init?(protobuf text: String) {
    var digits = text.utf8[...]
    guard digits.popLast() == UInt8(ascii: "s") else { return nil }
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative { digits = digits.dropFirst() }
    let parts = digits.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let isDigit: (UInt8) -> Bool = { 48...57 ~= $0 }
    guard parts.count <= 2, let whole = parts.first, !whole.isEmpty, whole.allSatisfy(isDigit),
      let seconds = Int64(String(Substring(whole))), seconds <= 315_576_000_000
    else { return nil }
    var nanoseconds: Int64 = 0
    if parts.count == 2 {
      guard (1...9).contains(parts[1].count), parts[1].allSatisfy(isDigit) else { return nil }
      let padded = String(Substring(parts[1])) + String(repeating: "0", count: 9 - parts[1].count)
      nanoseconds = Int64(padded) ?? 0
    }
    let duration = Duration(secondsComponent: seconds, attosecondsComponent: nanoseconds * 1_000_000_000)
    self = isNegative ? .zero - duration : duration
  }
}
