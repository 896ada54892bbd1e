import ArgumentParser
import CNI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Only for `--help`; the plugin itself is started before arguments are parsed.
struct CNIVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cni",
    abstract: "The CNI plugin (CNI 1.1): reads CNI_COMMAND and its kin, and a configuration on stdin.",
    discussion: "Example: CNI_COMMAND=VERSION martlet cni </dev/null")
}

enum CNICommandLine {
  static func run() -> Never {
    var input: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = read(0, &chunk, chunk.count)
      guard count > 0 else { break }
      input += chunk[..<count]
    }
    let outcome = CNIPlugin.run(environment: environment(), stdin: input)
    var rest = outcome.output[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
      guard count > 0 else { break }
      rest = rest.dropFirst(count)
    }
    exit(outcome.exitCode)
  }
}
