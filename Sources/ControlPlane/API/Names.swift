import JSON

/// Names of objects, namespaces and labels, with Kubernetes' sentences for what is wrong with them.
enum Names {
  static let subdomainMessage =
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    + "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    + #"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"#
  static let labelMessage =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    + "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
  static let serviceMessage =
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    + "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    + "'[a-z]([-a-z0-9]*[a-z0-9])?')"
  static let labelValueMessage =
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    + "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    + "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
  static let qualifiedNameMessage =
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    + "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    + "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

  static func isLabel(_ text: some StringProtocol) -> Bool {
    func isAlphanumeric(_ byte: UInt8) -> Bool { 97...122 ~= byte || 48...57 ~= byte }
    let bytes = Array(text.utf8)
    guard let first = bytes.first, let last = bytes.last else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last) && bytes.allSatisfy { isAlphanumeric($0) || $0 == 45 }
  }

  static func isSubdomain(_ text: String) -> Bool {
    text.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { isLabel($0) }
  }

  /// A label's value, or the part of a key after the slash when it is not empty.
  static func isLabelValue(_ text: some StringProtocol) -> Bool {
    func isAlphanumeric(_ byte: UInt8) -> Bool { 97...122 ~= byte || 65...90 ~= byte || 48...57 ~= byte }
    let bytes = Array(text.utf8)
    guard let first = bytes.first, let last = bytes.last else { return true }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && bytes.allSatisfy { isAlphanumeric($0) || $0 == 45 || $0 == 95 || $0 == 46 }
  }

  /// What is wrong with the name of an object of this resource.
  static func causes(name: String, _ resource: Resource) -> [APIStatus.Cause] {
    func cause(_ why: String) -> [APIStatus.Cause] {
      [
        .init(
          reason: "FieldValueInvalid", message: "Invalid value: \(JSONValue.string(name).text()): \(why)",
          field: "metadata.name")
      ]
    }
    if name == "." || name == ".." || name.contains("/") || name.contains("%") {
      return cause("may not contain '/' or '%' and may not be '.' or '..'")
    }
    switch resource.qualifiedName {
    case "namespaces":
      if !isLabel(name) { return cause(labelMessage) }
      if name.utf8.count > 63 { return cause("must be no more than 63 characters") }
    case "services":
      let startsWithLetter = name.utf8.first.map { 97...122 ~= $0 } ?? false
      if !isLabel(name) || !startsWithLetter { return cause(serviceMessage) }
      if name.utf8.count > 63 { return cause("must be no more than 63 characters") }
    default:
      if !isSubdomain(name) { return cause(subdomainMessage) }
      if name.utf8.count > 253 { return cause("must be no more than 253 characters") }
    }
    return []
  }

  /// What is wrong with labels and annotations.
  static func causes(metadata: JSONValue?) -> [APIStatus.Cause] {
    var causes: [APIStatus.Cause] = []
    func add(_ field: String, _ text: String, _ why: String) {
      causes.append(
        .init(
          reason: "FieldValueInvalid", message: "Invalid value: \(JSONValue.string(text).text()): \(why)",
          field: "metadata.\(field)"))
    }
    for field in ["labels", "annotations"] {
      for (key, value) in (metadata?[field]?.objectValue ?? [:]).sorted(by: { $0.key < $1.key }) {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        if parts.count > 2 {
          add(field, key, "a qualified name " + qualifiedNameMessage)
        } else if parts.count == 2, !isSubdomain(parts[0].lowercased()) {
          add(field, key, "prefix part " + subdomainMessage)
        } else if parts.last?.isEmpty ?? true {
          add(field, key, "name part must be non-empty")
        } else if let name = parts.last, name.utf8.count > 63 || !isLabelValue(name) {
          add(field, key, qualifiedNameMessage)
        }
        if field == "labels", let text = value.stringValue {
          if text.utf8.count > 63 { add(field, text, "must be no more than 63 characters") }
          if !isLabelValue(text) { add(field, text, labelValueMessage) }
        }
      }
    }
    return causes
  }
}
