import JSON

/// The syntax of label keys and values (Kubernetes, "Labels and Selectors"), with Cilium's source before the key.
enum LabelSyntax {
  static func key(_ text: String, at cursor: JSONCursor) throws(FieldError) -> LabelKey {
    let key = LabelKey(text)
    let parts = key.name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let nameIsValid = parts.last.map { isName($0, required: true) } ?? false
    let prefixIsValid = parts.count < 2 || isSubdomain(parts[0])
    guard isSource(key.source), nameIsValid, prefixIsValid else {
      throw cursor.error("\"\(text)\" is not a label key")
    }
    return key
  }

  static func value(_ cursor: JSONCursor) throws(FieldError) -> String {
    let value = try cursor.string()
    guard isName(value, required: false) else { throw cursor.error("\"\(value)\" is not a label value") }
    return value
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    48...57 ~= byte || 65...90 ~= byte || 97...122 ~= byte
  }

  private static func hasAlphanumericEnds(_ bytes: [UInt8]) -> Bool {
    guard let first = bytes.first, let last = bytes.last else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last)
  }

  /// At most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
  private static func isName(_ text: some StringProtocol, required: Bool) -> Bool {
    let bytes = Array(text.utf8)
    guard !bytes.isEmpty else { return !required }
    return bytes.count <= 63 && hasAlphanumericEnds(bytes)
      && bytes.allSatisfy { isAlphanumeric($0) || $0 == 45 || $0 == 95 || $0 == 46 }
  }

  /// RFC 1123: lower-case labels joined by dots.
  private static func isSubdomain(_ text: some StringProtocol) -> Bool {
    let bytes = Array(text.utf8)
    return bytes.count <= 253
      && bytes.split(separator: 46, omittingEmptySubsequences: false).allSatisfy { label in
        hasAlphanumericEnds(Array(label))
          && label.allSatisfy { isAlphanumeric($0) && !(65...90 ~= $0) || $0 == 45 }
      }
  }

  private static func isSource(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 45 }
  }
}
