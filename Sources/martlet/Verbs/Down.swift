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

  @Option(help: "Seconds to wait.")
  var timeout = 60

  func run() throws {
    guard let pid = instance.directory.runningHost else {
      complain("no `martlet up` runs with \(instance.directory.path)")
      throw Exit.no
    }
    kill(pid, SIGTERM)
    for _ in 0..<timeout * 10 {
      if instance.directory.runningHost != pid { return }
      usleep(100_000)
    }
    complain("`martlet up` (pid \(pid)) still runs after \(timeout) s")
    throw Exit.no
  }
}
