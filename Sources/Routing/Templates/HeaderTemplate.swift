import JSON

/// A header's value with Envoy's `%…%` variables in it.
public struct HeaderTemplate: Hashable, Sendable {
  public typealias Piece = TemplatePiece<HeaderVariable>

  public let pieces: [Piece]

  init(_ cursor: JSONCursor) throws(FieldError) {
    guard try cursor.string().utf8.allSatisfy({ $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }) else {
      throw cursor.error("control character in a header value")
    }
    pieces = try TemplatePiece.pieces(cursor, HeaderVariable.init)
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

  init?(_ command: TemplateCommand) {
    if let (name, otherwise) = HeaderVariable.names(command, "REQ") {
      self = .request(name: name, otherwise: otherwise, maximum: command.length)
      return
    }
    if let (name, otherwise) = HeaderVariable.names(command, "RESP") {
      self = .response(name: name, otherwise: otherwise, maximum: command.length)
      return
    }
    switch command.plain {
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
    default: return nil
    }
  }

  /// `WORD(NAME?OTHER)`
  private static func names(_ command: TemplateCommand, _ word: String) -> (String, String?)? {
    guard command.word == word, let argument = command.argument else { return nil }
    let names = argument.split(separator: "?", omittingEmptySubsequences: false)
    guard let first = names.first, names.count <= 2, names.allSatisfy({ isName($0) }) else { return nil }
    return (first.lowercased(), names.count == 2 ? names[1].lowercased() : nil)
  }

  private static func isName(_ text: Substring) -> Bool {
    text.isHTTPToken || (text.first == ":" && text.dropFirst().isHTTPToken)
  }
}
