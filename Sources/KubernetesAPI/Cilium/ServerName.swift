import JSON

/// An element of `toPorts[].serverNames`: a name that a TLS client must ask for, or a pattern of names.
public struct ServerName: Hashable, Sendable {
  /// As it is written.
  public let text: String
  public let path: String

  public init(_ text: String, path: String = "") {
    self.text = text
    self.path = path
  }

  static let maximumLength = 255

  init(_ cursor: JSONCursor) throws(FieldError) {
    self.init(try cursor.string(), path: cursor.path)
    guard !text.isEmpty else { throw cursor.error("must not be empty") }
    guard text.utf8.count <= ServerName.maximumLength else {
      throw cursor.error("must have at most \(ServerName.maximumLength) characters")
    }
    let labels = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    // One dot may end the name.
    for label in labels.last?.isEmpty == true ? labels.dropLast()[...] : labels[...] {
      guard !label.isEmpty else { throw cursor.error("two dots have no label between them") }
      guard label.allSatisfy(ServerName.isPlain) else {
        throw cursor.error("only letters, digits, \"-\", \"_\", \"*\" and dots are allowed")
      }
    }
  }

  private static func isPlain(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "*"): true
    default: false
    }
  }
}
