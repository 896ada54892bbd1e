import ArgumentParser
import JSON

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
  case table
  case json
  case yaml
  case wide
}

struct OutputOptions: ParsableArguments {
  @Option(name: [.customShort("o"), .customLong("output")], help: "Form of the output: table, wide, json or yaml.")
  var format: OutputFormat = .table

  /// Prints `document` as JSON or YAML, or the text that `table` makes of it.
  func print(_ document: JSONValue, table: (_ wide: Bool) -> String) {
    switch format {
    case .json: Swift.print(document.text(pretty: true))
    case .yaml: Swift.print(YAMLText.of(document), terminator: "")
    case .table: Swift.print(table(false))
    case .wide: Swift.print(table(true))
    }
  }
}

/// Prints one sentence on stderr.
func complain(_ message: String) {
  let line = Array("martlet: \(message)\n".utf8)
  _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
}

/// Makes what was printed visible at once, also through a pipe.
func flushOutput() { fflush(nil) }
