import JSON

/// One element of `rules.http`: a request must satisfy every field that is there.
public struct HTTPMatch: Hashable, Sendable {
  /// A regular expression for the whole of the method; nil (or written empty) allows every method.
  public let method: String?
  /// A regular expression for the whole of the path with its query; nil allows every path.
  public let path: String?
  /// A regular expression for the whole of the Host header; nil allows every host.
  public let host: String?
  /// `Name`, or `Name value`: headers that must be there, with that value where one is given.
  public let headers: [String]
  public let headerMatches: [HeaderMatch]
  public let fieldPath: String

  public init(
    method: String? = nil, path: String? = nil, host: String? = nil, headers: [String] = [],
    headerMatches: [HeaderMatch] = [], fieldPath: String = ""
  ) {
    self.method = method
    self.path = path
    self.host = host
    self.headers = headers
    self.headerMatches = headerMatches
    self.fieldPath = fieldPath
  }

  /// The path of one of its fields: `spec.ingress[0].toPorts[0].rules.http[0].method`.
  public func fieldPath(of field: String) -> String { "\(fieldPath).\(field)" }

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["method", "path", "host", "headers", "headerMatches"])
    func pattern(_ key: String) throws(FieldError) -> String? {
      guard let text = try cursor.member(key)?.string(), !text.isEmpty else { return nil }
      return text
    }
    self.init(
      method: try pattern("method"), path: try pattern("path"), host: try pattern("host"),
      headers: try cursor.list("headers") { (header) throws(FieldError) in
        let text = try header.string()
        guard let name = text.split(separator: " ", omittingEmptySubsequences: false).first, !name.isEmpty else {
          throw header.error("header name missing")
        }
        return text
      } ?? [],
      headerMatches: try cursor.list("headerMatches", HeaderMatch.init) ?? [], fieldPath: cursor.path)
  }
}

/// One element of `headerMatches`.
public struct HeaderMatch: Hashable, Sendable {
  /// What becomes of a request whose header does not match.
  public enum Mismatch: String, Hashable, Sendable {
    /// The default, written as the absence of the field: the rule does not match.
    case fail = ""
    case log = "LOG"
    case add = "ADD"
    case delete = "DELETE"
    case replace = "REPLACE"
  }

  public let name: String
  /// The exact value; nil asks only for the header's presence (unless there is a secret).
  public let value: String?
  /// The Secret that holds the value, as written.
  public let secret: RawField?
  public let mismatch: Mismatch
  public let path: String

  public init(
    name: String, value: String? = nil, secret: RawField? = nil, mismatch: Mismatch = .fail, path: String = ""
  ) {
    self.name = name
    self.value = value
    self.secret = secret
    self.mismatch = mismatch
    self.path = path
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["name", "value", "secret", "mismatch"])
    let name = try cursor.required("name")
    guard !(try name.string()).isEmpty else { throw name.error("header name missing") }
    var mismatch = Mismatch.fail
    if let member = try cursor.member("mismatch") {
      guard let action = Mismatch(rawValue: try member.string()) else {
        throw member.error("must be LOG, ADD, DELETE or REPLACE, is \"\(try member.string())\"")
      }
      mismatch = action
    }
    let secret = try cursor.member("secret")
    if let secret {
      try secret.allowOnly(["name", "namespace"])
      let name = try secret.required("name")
      guard !(try name.string()).isEmpty else { throw name.error("secret name missing") }
      _ = try secret.member("namespace")?.string()
    }
    self.init(
      name: try name.string(), value: try cursor.member("value")?.string(), secret: secret.map(RawField.init),
      mismatch: mismatch, path: cursor.path)
  }
}
