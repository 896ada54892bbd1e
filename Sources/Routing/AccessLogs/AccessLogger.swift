import JSON

/// `envoy.config.accesslog.v3.AccessLog`: a log of the requests of a listener.
public struct AccessLogger: Hashable, Sendable {
  public enum Target: Hashable, Sendable {
    /// The proxy's own standard output and error.
    case output
    case errors
    /// A plain name in the folder that the proxy has for the object's namespace.
    case file(String)
  }

  public let target: Target
  public let format: LogFormat
  /// nil: every request.
  public let filter: AccessLogFilter?

  static let fields = MessageFields(
    "envoy.config.accesslog.v3.AccessLog", read: ["filter", "typed_config"], withoutEffect: ["name"])
  static let fileFields = MessageFields(
    "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    read: ["path", "log_format", "format", "json_format", "typed_json_format"])
  static let outputFields = MessageFields(
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", read: ["log_format"])
  static let errorFields = MessageFields(
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog", read: ["log_format"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    filter = try message.map("filter", AccessLogFilter.init)
    let configuration = try message.required("typed_config")
    let fields: MessageFields
    switch try configuration.protobufType() {
    case Self.fileFields.message: fields = Self.fileFields
    case Self.outputFields.message: fields = Self.outputFields
    case Self.errorFields.message: fields = Self.errorFields
    default: throw try configuration.unsupportedType("FileAccessLog, StdoutAccessLog and StderrAccessLog are")
    }
    let logger = try Message(configuration, fields, isAny: true)
    format = try LogFormat(ofLogger: logger)
    target =
      switch fields.message {
      case Self.outputFields.message: .output
      case Self.errorFields.message: .errors
      default: try AccessLogger.target(try logger.required("path"))
      }
  }

  /// Whoever may write the object must not be able to write any file of the node.
  private static func target(_ cursor: JSONCursor) throws(FieldError) -> Target {
    let path = try cursor.string()
    switch path {
    case "/dev/stdout": return .output
    case "/dev/stderr": return .errors
    default: break
    }
    let isPlain = path.utf8.allSatisfy { byte in
      48...57 ~= byte || 65...90 ~= byte || 97...122 ~= byte || byte == 45 || byte == 46 || byte == 95
    }
    // Files that were rotated end with a dot and a number.
    let isRotated = path.split(separator: ".", omittingEmptySubsequences: false).last.map { UInt($0) != nil } ?? false
    guard isPlain, !path.isEmpty, path.utf8.count <= 100, !path.hasPrefix("."), !path.contains(".") || !isRotated else {
      throw cursor.error(
        "must be /dev/stdout, /dev/stderr, or the name of a file below the proxy's access-logs folder: up to 100 letters, "
          + "digits, '-', '_' and '.', not beginning with '.', nor ending with '.' and a number")
    }
    return .file(path)
  }
}
