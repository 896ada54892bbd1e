import JSON

/// How the line of an access log is written: `envoy.config.core.v3.SubstitutionFormatString`, and the older fields beside it.
public struct LogFormat: Hashable, Sendable {
  public typealias Piece = TemplatePiece<LogVariable>

  public enum Layout: Hashable, Sendable {
    case text([Piece])
    /// A JSON document, with a line feed behind it.
    case document(LogDocument)
  }

  public let layout: Layout
  /// What has no value is left out; else it is `-` in texts, and null as a document's member.
  public let omitsEmpty: Bool

  static let fields = MessageFields(
    "envoy.config.core.v3.SubstitutionFormatString",
    read: ["text_format", "text_format_source", "json_format", "omit_empty_values"],
    // Members are always sorted; nobody asks for a log's content type.
    withoutEffect: ["content_type", "json_format_options"], refused: ["formatters"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    omitsEmpty = try message.bool("omit_empty_values")
    switch try message.choice("text_format", "json_format", "text_format_source") {
    case ("text_format", let member)?: layout = .text(try LogFormat.text(member))
    case ("json_format", let member)?: layout = .document(try LogDocument(member))
    case (_, let member)?:
      let source = try Message(member, DirectResponse.bodyFields)
      guard let inline = source.member("inline_string") else {
        throw member.error("needs inline_string")
      }
      layout = .text(try LogFormat.text(inline))
    case nil: throw cursor.error("needs text_format, text_format_source or json_format")
    }
  }

  /// As Envoy has it where nothing is said.
  init() throws(FieldError) {
    layout = .text(try LogFormat.text(JSONCursor(.string(LogFormat.standard), path: "log_format")))
    omitsEmpty = false
  }

  /// `log_format`, or `format`, `json_format` or `typed_json_format` in its place.
  init(ofLogger message: Message) throws(FieldError) {
    switch try message.choice("log_format", "format", "json_format", "typed_json_format") {
    case ("log_format", let member)?: self = try LogFormat(member)
    case ("format", let member)?: self = LogFormat(.text(try LogFormat.text(member)))
    case ("json_format", let member)?: self = LogFormat(.document(try LogDocument(member, isTyped: false)))
    case (_, let member)?: self = LogFormat(.document(try LogDocument(member)))
    case nil: self = try LogFormat()
    }
  }

  private init(_ layout: Layout) {
    self.layout = layout
    omitsEmpty = false
  }

  private static func text(_ cursor: JSONCursor) throws(FieldError) -> [Piece] {
    try Piece.pieces(cursor, LogVariable.init)
  }

  private static let standard =
    "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% %RESPONSE_FLAGS% "
    + "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" "
    + "\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"\n"
}

/// The shape of a line that is a JSON document.
public indirect enum LogDocument: Hashable, Sendable {
  public struct Member: Hashable, Sendable {
    public let key: String
    public let value: LogDocument
  }

  /// Sorted by their keys.
  case object([Member])
  case array([LogDocument])
  /// A number, a boolean or null, as it is written.
  case constant(String)
  /// One command alone is a value of its own type.
  case value(LogVariable)
  case text([LogFormat.Piece])

  /// - Parameter isTyped: Else all values are texts.
  init(_ cursor: JSONCursor, isTyped: Bool = true) throws(FieldError) {
    guard case .object = cursor.value else { throw cursor.error("must be an object, is \(cursor.value.typeName)") }
    self = try LogDocument.of(cursor, isTyped)
  }

  private static func of(_ cursor: JSONCursor, _ isTyped: Bool) throws(FieldError) -> LogDocument {
    switch cursor.value {
    case .object:
      var members: [Member] = []
      for (key, member) in try cursor.members() {
        members.append(Member(key: key, value: try of(member, isTyped)))
      }
      return .object(members)
    case .array:
      var elements: [LogDocument] = []
      for element in try cursor.elements() { elements.append(try of(element, isTyped)) }
      return .array(elements)
    case .string:
      let pieces = try LogFormat.Piece.pieces(cursor, LogVariable.init)
      if isTyped, pieces.count == 1, case .variable(let variable) = pieces[0] { return .value(variable) }
      return .text(pieces)
    case .null, .bool, .integer, .number: return .constant(cursor.value.text())
    }
  }
}
