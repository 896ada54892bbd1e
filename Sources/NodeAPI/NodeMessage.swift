import JSON

/// A request as a handler sees it.
public struct NodeRequest: Hashable, Sendable {
  public let method: String
  /// Without the query; percent-escapes are kept.
  public let path: String
  /// With percent-escapes decoded; the last of equal names counts.
  public let query: [String: String]
  public let body: [UInt8]

  public init(method: String, path: String, query: [String: String] = [:], body: [UInt8] = []) {
    self.method = method
    self.path = path
    self.query = query
    self.body = body
  }

  /// The body as JSON; null where there is none.
  public func json() throws(JSONError) -> JSONValue { body.isEmpty ? .null : try JSONValue(parsing: body) }
}

/// What a handler answers.
public enum NodeResponse: Sendable {
  case json(JSONValue, code: Int = 200)
  /// The client sees `NodeError.refused`.
  case error(String, code: Int = 500)
  /// Lines that `produce` writes one after another, for as long as it runs. Writing suspends while the client is slow,
  /// and throws once it has gone; the task is cancelled then, too.
  case lines(produce: @Sendable (_ write: @Sendable (JSONValue) async throws -> Void) async throws -> Void)
}

/// The client has gone.
public struct ClientGone: Error, Hashable, Sendable {
  public init() {}
}

extension NodeRequest {
  /// Splits the target of a request line.
  init?(method: String, target: String, body: [UInt8]) {
    guard target.hasPrefix("/") else { return nil }
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    var query: [String: String] = [:]
    for item in parts.count > 1 ? parts[1].split(separator: "&") : [] {
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = NodeRequest.unescaped(pair[0]), let value = NodeRequest.unescaped(pair.count > 1 ? pair[1] : "")
      else { return nil }
      query[name] = value
    }
    self.init(method: method, path: String(parts[0]), query: query, body: body)
  }

  /// nil for a broken escape.
  private static func unescaped(_ text: Substring) -> String? {
    var bytes: [UInt8] = []
    var rest = Array(text.utf8)[...]
    while let byte = rest.popFirst() {
      switch byte {
      case UInt8(ascii: "+"): bytes.append(0x20)
      case UInt8(ascii: "%"):
        guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
          return nil
        }
        bytes.append(value)
        rest = rest.dropFirst(2)
      default: bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }
}

extension NodeClient {
  /// Escapes a value for a query: all but RFC 3986's unreserved characters.
  public static func escaped(_ text: String) -> String {
    var escaped = ""
    for byte in text.utf8 {
      switch byte {
      case 48...57, 65...90, 97...122, UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
        escaped.unicodeScalars.append(Unicode.Scalar(byte))
      default: escaped += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return escaped
  }
}
