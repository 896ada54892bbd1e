import ArgumentParser
import JSON

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
