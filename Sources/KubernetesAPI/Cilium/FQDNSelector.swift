import JSON

/// A DNS name or a pattern of names: an element of `toFQDNs` and of `rules.dns`.
public struct FQDNSelector: Hashable, Sendable {
  public enum Match: Hashable, Sendable {
    case name(String)
    /// `*` stands for any number of the characters of a label.
    case pattern(String)
  }

  public let match: Match
  public let path: String

  public init(match: Match, path: String = "") {
    self.match = match
    self.path = path
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["matchName", "matchPattern"])
    switch (try cursor.member("matchName"), try cursor.member("matchPattern")) {
    case (let name?, nil):
      self.init(match: .name(try FQDNSelector.text(name, wildcards: false)), path: cursor.path)
    case (nil, let pattern?):
      self.init(match: .pattern(try FQDNSelector.text(pattern, wildcards: true)), path: cursor.path)
    default: throw cursor.error("needs exactly one of matchName and matchPattern")
    }
  }

  private static func text(_ cursor: JSONCursor, wildcards: Bool) throws(FieldError) -> String {
    let text = try cursor.string()
    let labels = text.utf8.last == UInt8(ascii: ".") ? text.dropLast() : text[...]
    let isName =
      !text.isEmpty && text.utf8.count <= 255
      && labels.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
        !label.isEmpty
          && label.utf8.allSatisfy {
            48...57 ~= $0 || 65...90 ~= $0 || 97...122 ~= $0 || $0 == 45 || $0 == 95
              || wildcards && $0 == UInt8(ascii: "*")
          }
      }
    guard isName else { throw cursor.error("\"\(text)\" is not a DNS name\(wildcards ? " pattern" : "")") }
    return text
  }
}
