import JSON

/// A header's value with Envoy's `%…%` variables in it; `%%` is a percent sign.
public struct HeaderTemplate: Hashable, Sendable {
  public enum Piece: Hashable, Sendable {
    case text(String)
    case variable(HeaderVariable)
  }

  public let pieces: [Piece]

  init(_ cursor: JSONCursor) throws(FieldError) {
    let text = try cursor.string()
    guard text.utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
      throw cursor.error("control character in a header value")
    }
    var pieces: [Piece] = []
    var literal = ""
    var rest = text[...]
    while let percent = rest.firstIndex(of: "%") {
      literal += rest[..<percent]
      rest = rest[rest.index(after: percent)...]
      if rest.first == "%" {
        literal += "%"
        rest = rest.dropFirst()
        continue
      }
      guard let end = HeaderTemplate.end(of: rest) else { throw cursor.error("% without an end") }
      guard let variable = HeaderVariable(rest[..<end]) else {
        throw cursor.error("variable %\(rest[..<end])% is not supported")
      }
      if !literal.isEmpty { pieces.append(.text(literal)) }
      literal = ""
      pieces.append(.variable(variable))
      rest = rest[rest.index(after: end)...]
    }
    literal += rest
    if !literal.isEmpty { pieces.append(.text(literal)) }
    self.pieces = pieces
  }

  /// The percent sign that ends a variable: one behind its parentheses, if it has any.
  private static func end(of text: Substring) -> Substring.Index? {
    let word = text.prefix { $0.isASCII && ($0.isUppercase || $0.isNumber || $0 == "_") }
    guard word.endIndex < text.endIndex, text[word.endIndex] == "(" else { return text.firstIndex(of: "%") }
    guard let closing = text.firstIndex(of: ")") else { return nil }
    return text[closing...].firstIndex(of: "%")
  }
}

/// What a request or a response puts in the place of a variable; nothing, where it has no such thing.
public enum HeaderVariable: Hashable, Sendable {
  /// `%REQ(NAME?OTHER):LENGTH%`: a header of the request, or another one without it, cut to a length.
  case request(name: String, otherwise: String?, maximum: Int?)
  /// `%RESP(NAME?OTHER):LENGTH%`
  case response(name: String, otherwise: String?, maximum: Int?)
  /// `HTTP/1.1`
  case `protocol`
  case routeName
  case upstreamCluster
  case hostname
  case responseCode
  case remoteAddress
  case remoteAddressWithoutPort
  case remotePort
  case localAddress
  case localAddressWithoutPort
  case localPort

  init?(_ text: Substring) {
    switch text {
    case "PROTOCOL": self = .protocol
    case "ROUTE_NAME": self = .routeName
    case "UPSTREAM_CLUSTER": self = .upstreamCluster
    case "HOSTNAME": self = .hostname
    case "RESPONSE_CODE": self = .responseCode
    case "DOWNSTREAM_REMOTE_ADDRESS", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": self = .remoteAddress
    case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT":
      self = .remoteAddressWithoutPort
    case "DOWNSTREAM_REMOTE_PORT", "DOWNSTREAM_DIRECT_REMOTE_PORT": self = .remotePort
    case "DOWNSTREAM_LOCAL_ADDRESS": self = .localAddress
    case "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": self = .localAddressWithoutPort
    case "DOWNSTREAM_LOCAL_PORT": self = .localPort
    default:
      if let header = HeaderVariable.header(text, "REQ") {
        self = .request(name: header.0, otherwise: header.1, maximum: header.2)
      } else if let header = HeaderVariable.header(text, "RESP") {
        self = .response(name: header.0, otherwise: header.1, maximum: header.2)
      } else {
        return nil
      }
    }
  }

  /// `WORD(NAME?OTHER):LENGTH`
  private static func header(_ text: Substring, _ word: String) -> (String, String?, Int?)? {
    guard text.hasPrefix(word + "("), let closing = text.lastIndex(of: ")") else { return nil }
    var maximum: Int?
    let tail = text[text.index(after: closing)...]
    if !tail.isEmpty {
      guard tail.first == ":", let length = Int(tail.dropFirst()), length >= 0 else { return nil }
      maximum = length
    }
    let names = text[..<closing].dropFirst(word.count + 1).split(separator: "?", omittingEmptySubsequences: false)
    guard let first = names.first, names.count <= 2, names.allSatisfy({ isName($0) }) else { return nil }
    return (first.lowercased(), names.count == 2 ? names[1].lowercased() : nil, maximum)
  }

  private static func isName(_ text: Substring) -> Bool {
    text.isHTTPToken || (text.first == ":" && text.dropFirst().isHTTPToken)
  }
}
