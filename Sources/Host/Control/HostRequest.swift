import JSON

/// What `martlet up` can be asked for by its socket: `{"restart": "proxy", "drainSeconds": 600}`.
struct HostRequest: Hashable, Sendable {
  /// How long the old proxy may go on with connections that do not come to rest.
  var drain: Duration

  /// - Parameter drain: Rounded up to seconds.
  init(drain: Duration) {
    let (seconds, rest) = drain.components
    self.drain = .seconds(rest > 0 ? seconds + 1 : seconds)
  }

  var json: JSONValue { ["restart": "proxy", "drainSeconds": .integer(drain.components.seconds)] }

  init(_ cursor: JSONCursor) throws(FieldError) {
    let what = try cursor.required("restart")
    guard try what.string() == "proxy" else { throw what.error("only the proxy can be restarted") }
    let seconds = try cursor.required("drainSeconds")
    let count = try seconds.integer()
    guard (0...Int64(UInt32.max)).contains(count) else { throw seconds.error("is no number of seconds") }
    drain = .seconds(count)
  }
}

/// `{"old": 4711, "new": 4712}`, or `{"error": "…"}`.
enum HostAnswer: Hashable, Sendable {
  case replaced(old: Int32, new: Int32)
  case failed(String)

  var json: JSONValue {
    switch self {
    case .replaced(let old, let new): ["old": .integer(Int64(old)), "new": .integer(Int64(new))]
    case .failed(let reason): ["error": .string(reason)]
    }
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    if let error = try cursor.member("error") {
      self = .failed(try error.string())
      return
    }
    self = .replaced(
      old: Int32(clamping: try cursor.required("old").integer()),
      new: Int32(clamping: try cursor.required("new").integer()))
  }
}
