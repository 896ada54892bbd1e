import JSON

/// A field that is kept as it was written, with its path: present, so that a later stage can refuse it by name.
public struct RawField: Hashable, Sendable {
  public let path: String
  public let value: JSONValue

  init(_ cursor: JSONCursor) {
    path = cursor.path
    value = cursor.value
  }
}
