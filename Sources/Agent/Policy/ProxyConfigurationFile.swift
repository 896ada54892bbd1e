import Files
import JSON
import ProxyRules

/// The proxy's configuration as a file that is replaced whole: neither process needs the other to be alive.
struct ProxyConfigurationFile {
  private let files: ProxyFiles
  private(set) var current: ProxyConfiguration

  /// Starts from what an earlier agent wrote, so that the rule sets of living connections stay known.
  init(_ files: ProxyFiles) {
    self.files = files
    let text = try? StateFiles.read(files.configuration)
    let previous = text.flatMap { try? ProxyConfiguration(parsing: $0) }
    current = previous ?? ProxyConfiguration(generation: 0)
  }

  /// Writes the next generation.
  mutating func write(ruleSets: [RuleSet], authors: [UInt32: RuleAuthor]) throws {
    let next = ProxyConfiguration(
      generation: current.generation + 1, ruleSets: ruleSets.sorted { $0.id < $1.id }, authors: authors)
    try StateFiles.write(next.json.serialized(), to: files.configuration)
    current = next
  }

  /// Waits until the proxy serves the current generation; false when it does not in time, as when it is not running. It
  /// reads the file at its start, so nothing is lost then.
  func acknowledged(within limit: Duration) async -> Bool {
    let deadline = ContinuousClock.now + limit
    while ContinuousClock.now < deadline {
      if let text = try? StateFiles.read(files.generation),
        let served = UInt64(String(decoding: text, as: UTF8.self).filter(\.isNumber)), served == current.generation
      {
        return true
      }
      try? await Task.sleep(for: .milliseconds(1))
    }
    return false
  }
}
