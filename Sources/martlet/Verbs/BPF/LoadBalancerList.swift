import ArgumentParser
import Datapath
import JSON

struct LoadBalancerList: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lb", abstract: "How Services are balanced: frontends, and what is behind them.",
    discussion: "Example: martlet bpf lb list --backends")

  enum Section: String, EnumerableFlag {
    case backends, affinity, maglev

    static func help(for value: Section) -> ArgumentHelp? {
      switch value {
      case .backends: "The backends, and how many slots of tables they have."
      case .affinity: "The clients that keep a backend."
      case .maglev: "The share that each backend has of its Maglev table."
      }
    }
  }

  @OptionGroup var options: KernelListOptions
  @Flag(exclusivity: .exclusive) var section: Section?

  func run() throws {
    let names = ServiceNumbers(options.instance)
    func maps() throws -> ServiceMaps { try ServiceMaps.fromPins(options.pins) }
    switch section {
    case nil:
      try options.show {
        try maps().listing()
      } document: {
        names.document($0)
      } table: {
        names.table($0, wide: $1)
      }
    case .backends:
      try options.show {
        try maps().backendListing()
      } document: {
        Self.document($0)
      } table: { rows, _ in
        Self.table(rows)
      }
    case .affinity:
      try options.show {
        try maps().affinityListing()
      } document: {
        names.document($0)
      } table: { rows, _ in
        names.table(rows)
      }
    case .maglev:
      try options.show {
        try maps().maglevListing(pins: options.pins)
      } document: {
        names.document($0)
      } table: { rows, _ in
        names.table(rows)
      }
    }
  }

  private static func document(_ backend: BackendListing) -> JSONValue {
    [
      "number": .integer(Int64(backend.number)), "address": .string(backend.address.address.description),
      "port": .integer(Int64(backend.address.port)), "protocol": .string(backend.protocol.description),
      "isLocal": .bool(backend.isLocal), "slots": .integer(Int64(backend.slots)),
    ]
  }

  private static func table(_ backends: [BackendListing]) -> Table {
    var table = Table("NUMBER", "BACKEND", "PROTOCOL", "WHERE", "SLOTS")
    for backend in backends {
      table.add(
        String(backend.number), backend.address.text, backend.protocol.description,
        backend.isLocal ? "here" : "elsewhere",
        String(backend.slots))
    }
    return table
  }
}
