import ArgumentParser

/// What scripts may rely on.
enum Exit {
  /// The answer is no.
  static let no = ExitCode(1)
  /// The command line is wrong.
  static let usage = ExitCode(2)
  /// The agent can not be reached.
  static let unreachable = ExitCode(3)
}
