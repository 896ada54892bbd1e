import JSON

/// Headers that a level of the configuration removes and adds: `request_headers_to_add`, `…_to_remove`, and those of the
/// response.
public struct HeaderMutations: Hashable, Sendable {
  /// In lower case; removed before anything is added.
  public let removed: [String]
  public let added: [HeaderAddition]

  public var isEmpty: Bool { removed.isEmpty && added.isEmpty }

  static let none = HeaderMutations(removed: [], added: [])

  init(removed: [String], added: [HeaderAddition]) {
    self.removed = removed
    self.added = added
  }

  /// Reads `PREFIX_headers_to_add` and `PREFIX_headers_to_remove`.
  init(_ message: Message, _ prefix: String) throws(FieldError) {
    removed = try message.list("\(prefix)_headers_to_remove") { (cursor) throws(FieldError) in
      let name = try cursor.headerName()
      guard name != "host" else { throw cursor.error("the host header can not be removed") }
      try cursor.refuseFraming(name)
      return name
    }
    added = try message.list("\(prefix)_headers_to_add", HeaderAddition.init)
  }
}

/// `envoy.config.core.v3.HeaderValueOption`
public struct HeaderAddition: Hashable, Sendable {
  public enum Action: String, Hashable, Sendable, CaseIterable {
    case append = "APPEND_IF_EXISTS_OR_ADD"
    case addIfAbsent = "ADD_IF_ABSENT"
    case overwriteOrAdd = "OVERWRITE_IF_EXISTS_OR_ADD"
    case overwriteIfExists = "OVERWRITE_IF_EXISTS"
  }

  /// In lower case.
  public let name: String
  public let value: HeaderTemplate
  public let action: Action
  /// An empty value is a header too; else nothing is added.
  public let keepsEmptyValue: Bool

  static let fields = MessageFields(
    "envoy.config.core.v3.HeaderValueOption", read: ["header", "append", "append_action", "keep_empty_value"])
  static let headerFields = MessageFields(
    "envoy.config.core.v3.HeaderValue", read: ["key", "value"], refused: ["raw_value"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    let header = try Message(try message.required("header"), Self.headerFields)
    let key = try header.required("key")
    name = try key.headerName()
    guard name != "host" else { throw key.error("the host header is changed by host_rewrite_literal") }
    try key.refuseFraming(name)
    value = try HeaderTemplate(header.member("value") ?? JSONCursor("", path: header.cursor.path + ".value"))
    keepsEmptyValue = try message.bool("keep_empty_value")
    let named = try message.member("append_action")?.protobufEnum(Action.allCases.map(\.rawValue))
    if let appends = try message.optionalBool("append") {
      guard named == nil || named == Action.append.rawValue else {
        throw try message.required("append").error("can not be set together with append_action")
      }
      action = appends ? .append : .overwriteOrAdd
    } else {
      action = named.flatMap(Action.init) ?? .append
    }
  }
}

extension JSONCursor {
  /// Refuses headers that say where a message ends.
  fileprivate func refuseFraming(_ name: String) throws(FieldError) {
    guard !HeaderEdits.framing.contains(name) else {
      throw error("\(name) says where a message ends, and can not be changed")
    }
  }
}
