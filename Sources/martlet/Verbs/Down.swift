import ArgumentParser
import Host
import NodeAPI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct Down: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Stop `martlet up` and wait until it has cleaned up.",
    discussion: "Example: martlet down --state-dir /tmp/mesh")

  @OptionGroup var instance: InstanceOptions

  @Option(help: "How long to wait: 500ms, 30s, 2m.", transform: parseDuration)
  var timeout = Duration.seconds(60)

  func run() throws {
    guard let pid = instance.directory.runningHost else {
      complain("no `martlet up` runs with \(instance.directory.path)")
      throw Exit.no
    }
    kill(pid, SIGTERM)
    let deadline = ContinuousClock.now + timeout
    while ContinuousClock.now < deadline {
      if instance.directory.runningHost != pid { return }
      usleep(100_000)
    }
    complain("`martlet up` (pid \(pid)) still runs after \(timeout)")
    throw Exit.no
  }
}
