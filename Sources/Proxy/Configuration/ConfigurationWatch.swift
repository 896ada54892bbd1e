import Files
public import Logging
import ProxyRules

/// Keeps a `RuleStore` equal to the configuration in a folder and acknowledges each generation.
///
/// No file yet: nothing is served but denials. A broken file: the last good rules stay and the error is logged.
public struct ConfigurationWatch: Sendable {
  public let files: ProxyFiles
  private let rules: RuleStore
  private let logger: Logger
  private let duty: ProxyDuty
  private let onChange: @Sendable () -> Void

  /// - Parameters:
  ///   - duty: whether generations are acknowledged.
  ///   - onChange: called after each new generation is in force.
  public init(
    files: ProxyFiles, rules: RuleStore, logger: Logger, duty: ProxyDuty = ProxyDuty(),
    onChange: @escaping @Sendable () -> Void = {}
  ) {
    self.duty = duty
    self.files = files
    self.rules = rules
    self.logger = logger
    self.onChange = onChange
  }

  /// Follows the file until the task is cancelled.
  public func run() async throws {
    try StateFiles.makeDirectories(files.folder)
    try await FolderWatch(folders: [files.folder]).run { changes in
      if case .files(let names) = changes, names[files.folder]?.contains(ProxyFiles.configurationName) != true {
        return
      }
      load()
    }
  }

  /// Reads the file once.
  public func load() {
    do {
      guard let content = try StateFiles.readIfPresent(files.configuration) else {
        logger.notice("no proxy configuration yet: every request is denied")
        return
      }
      let configuration = try ProxyConfiguration(parsing: content)
      let previous = rules.current
      if configuration.generation == previous.generation && previous.generation != 0 { return acknowledge(previous) }
      let table = try RuleSetTable(configuration, reusing: previous)
      rules.replace(with: table)
      acknowledge(table)
      onChange()
    } catch {
      logger.error("the proxy configuration is not usable, the last good one stays in force: \(error)")
    }
  }

  private func acknowledge(_ table: RuleSetTable) {
    duty.perform {
      do {
        try StateFiles.write(Array("\(table.generation)\n".utf8), to: files.generation)
      } catch {
        logger.error("generation \(table.generation) is in force but can not be acknowledged: \(error)")
      }
    }
  }
}
