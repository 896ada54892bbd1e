/// Header fields in the order they were sent; names are compared without regard to case (RFC 9110, 5.1).
public struct HTTPHeaders: Hashable, Sendable, ExpressibleByDictionaryLiteral {
  public private(set) var fields: [Field] = []

  public struct Field: Hashable, Sendable {
    public let name: String
    public let value: String
  }

  public init() {}

  public init(dictionaryLiteral elements: (String, String)...) {
    for (name, value) in elements { append(name, value) }
  }

  public mutating func append(_ name: String, _ value: String) {
    fields.append(Field(name: name, value: value))
  }

  /// The value of the first field of that name.
  public subscript(name: String) -> String? {
    let name = name.lowercased()
    return fields.first { $0.name.lowercased() == name }?.value
  }
}

/// Why a message is not HTTP/1.1.
public struct HTTPSyntaxError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}

/// The head of a request or response, and how its body ends.
struct HTTPHead: Hashable, Sendable {
  /// `["GET", "/", "HTTP/1.1"]`, or `["HTTP/1.1", "200", "OK"]`.
  var start: [String]
  var headers: HTTPHeaders

  static let maximumSize = 64 << 10

  init(parsing bytes: ArraySlice<UInt8>) throws(HTTPSyntaxError) {
    let text = String(decoding: bytes, as: UTF8.self)
    var lines = text.split(separator: "\r\n", omittingEmptySubsequences: true)[...]
    guard let first = lines.popFirst() else { throw HTTPSyntaxError("empty head") }
    start = first.split(separator: " ", maxSplits: 2).map(String.init)
    guard start.count >= 2 else { throw HTTPSyntaxError("bad start line") }
    headers = HTTPHeaders()
    for line in lines {
      guard let colon = line.firstIndex(of: ":"), colon > line.startIndex else {
        throw HTTPSyntaxError("header field without a colon")
      }
      headers.append(String(line[..<colon]), String(line[line.index(after: colon)...].trimmingBlanks))
    }
  }

  var isChunked: Bool { headers["Transfer-Encoding"]?.lowercased().hasSuffix("chunked") ?? false }

  func contentLength() throws(HTTPSyntaxError) -> Int? {
    guard let text = headers["Content-Length"] else { return nil }
    guard let length = Int(text), length >= 0, length <= 64 << 20 else { throw HTTPSyntaxError("bad Content-Length") }
    return length
  }
}

extension Substring {
  fileprivate var trimmingBlanks: Substring {
    var slice = drop { $0 == " " || $0 == "\t" }
    while slice.last == " " || slice.last == "\t" { slice.removeLast() }
    return slice
  }
}
