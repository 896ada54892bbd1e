import Clocks
import Logging

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Writes one line for each message on stderr: time, level, message, metadata.
struct LineLogHandler: LogHandler {
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level
  let name: String

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    var line = "\(Timestamp.milliseconds(Timestamp.now())) \(event.level) \(name): \(event.message)"
    for (key, value) in metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }
    ) {
      line += " \(key)=\(value)"
    }
    line += "\n"
    let bytes = Array(line.utf8)
    _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
  }
}

/// The log of one of the long-running verbs. `MARTLET_LOG_LEVEL` sets how much it says; `info` by default.
func startLogging(_ name: String) -> Logger {
  let level = getenv("MARTLET_LOG_LEVEL").flatMap { Logger.Level(rawValue: String(cString: $0)) } ?? .info
  LoggingSystem.bootstrap { _ in LineLogHandler(logLevel: level, name: name) }
  return Logger(label: name)
}
