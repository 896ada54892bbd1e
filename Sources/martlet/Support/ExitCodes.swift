import ArgumentParser
import NodeAPI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What scripts may rely on.
enum Exit {
  /// The answer is no.
  static let no = ExitCode(1)
  /// The command line is wrong.
  static let usage = ExitCode(2)
  /// The agent can not be reached.
  static let unreachable = ExitCode(3)
}

/// Prints one sentence on stderr.
func complain(_ message: String) {
  let line = Array("martlet: \(message)\n".utf8)
  _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}

struct InstanceOptions: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: "Directory of the instance (default: $MARTLET_STATE_DIR, else \(StateDirectory.defaultPath)).")
  var stateDirectory: String?

  var directory: StateDirectory { StateDirectory(stateDirectory) }
}

/// Makes what was printed visible at once, also through a pipe.
func flushOutput() { fflush(nil) }
