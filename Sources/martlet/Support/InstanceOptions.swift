import ArgumentParser
import Files

struct InstanceOptions: ParsableArguments {
  @Option(
    name: .customLong("state-dir"),
    help: "Directory of the instance (default: $MARTLET_STATE_DIR, else \(StateDirectory.defaultPath)).")
  var stateDirectory: String?

  var directory: StateDirectory { StateDirectory(stateDirectory) }
}
