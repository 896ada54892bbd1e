import Addressing
import ArgumentParser
import BPF
import Datapath
import Host
import Identity
import JSON
import NodeAPI
import Policy

struct BPFVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bpf",
    abstract: "What the kernel holds, read from the pinned maps: works also while the agent is down.",
    discussion: "Example: martlet bpf ct list",
    subcommands: [Programs.self, Maps.self, PolicyMaps.self, IPCacheList.self, Connections.self])

  struct Programs: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "prog", abstract: "The loaded programs.", discussion: "Example: martlet bpf prog list")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "list") var verb = ListVerb.list

    func run() throws {
      try readingKernel {
        let pins = instance.pins
        let attached = try pins.attachments()
        let rows = try pins.loadedPrograms().map { program in
          (info: try program.info(), devices: attached.filter { $0.programID == program.id }.map(\.device).sorted())
        }
        output.print(
          .array(
            rows.map { row in
              [
                "id": .integer(Int64(row.info.id)), "type": .string(row.info.type.description),
                "name": .string(row.info.name), "attached": .array(row.devices.map(JSONValue.string)),
                "verifiedInstructions": .integer(Int64(row.info.verifiedInstructions)),
                "jitedBytes": .integer(Int64(row.info.jitedSize)), "runCount": .integer(Int64(row.info.runCount)),
                "runTimeNanoseconds": .integer(Int64(row.info.runTimeNanoseconds)),
              ]
            })
        ) { wide in
          var table = Table("ID", "TYPE", "NAME", "VERIFIED", "JITED", "RUNS", "RUN TIME", "ATTACHED")
          for row in rows {
            let devices =
              wide || row.devices.count <= 3
              ? row.devices.joined(separator: ",")
              : "\(row.devices.prefix(3).joined(separator: ",")),… (\(row.devices.count))"
            table.add(
              String(row.info.id), row.info.type.description, row.info.name, String(row.info.verifiedInstructions),
              "\(row.info.jitedSize)B", String(row.info.runCount), "\(row.info.runTimeNanoseconds)ns", devices)
          }
          return table.text
        }
      }
    }
  }

  struct Maps: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "map", abstract: "The maps, their sizes and what they hold.",
      discussion: "Example: martlet bpf map list")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "list") var verb = ListVerb.list

    func run() throws {
      try readingKernel {
        let maps = try instance.pins.mapSummaries()
        output.print(
          .array(
            maps.map { map in
              [
                "id": .integer(Int64(map.id)), "name": .string(map.name), "type": .string(map.type),
                "entries": map.entries.map { .integer(Int64($0)) } ?? .null,
                "maxEntries": .integer(Int64(map.maxEntries)), "bytes": .integer(Int64(map.bytes)),
              ]
            })
        ) { _ in
          var table = Table("ID", "NAME", "TYPE", "ENTRIES", "MAX", "MEMORY")
          for map in maps {
            table.add(
              String(map.id), map.name, map.type, map.entries.map(String.init) ?? "-", String(map.maxEntries),
              "\(map.bytes / 1024) KiB")
          }
          table.add("", "total", "", "", "", "\(maps.reduce(0) { $0 + $1.bytes } / 1024) KiB")
          return table.text
        }
      }
    }
  }

  struct PolicyMaps: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "policy", abstract: "The policy of each identity, entry by entry.",
      discussion: "Example: martlet bpf policy list 256")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "list") var verb = ListVerb.list
    @Argument(help: "Only of this identity.") var identity: UInt32?

    func run() throws {
      try readingKernel {
        let tables = try PolicyTables.pinned(instance.pins)
        let rules = (try? NodeClient(socketPath: instance.directory.agentSocket).get("/v1/rules")) ?? [:]
        var rows: [(subject: NumericIdentity, key: PolicyKey, entry: PolicyEntry)] = []
        for subject in try tables.identities() where identity == nil || subject.rawValue == identity {
          let state = try tables.state(subject) ?? [:]
          rows += state.sorted { $0.key < $1.key }.map { (subject, $0.key, $0.value) }
        }
        output.print(.array(rows.map { PolicyMaps.document($0, rules) })) { _ in
          var table = Table("IDENTITY", "DIRECTION", "PEER", "PORT", "VERDICT", "RULE")
          for row in rows {
            table.add(
              row.subject.description, row.key.direction == .ingress ? "ingress" : "egress",
              row.key.peer == .any ? "any" : row.key.peer.description, PolicyMaps.port(row.key),
              PolicyMaps.verdict(row.entry), PolicyMaps.rule(row.entry.rule, rules))
          }
          return table.text
        }
      }
    }

    private static func document(
      _ row: (subject: NumericIdentity, key: PolicyKey, entry: PolicyEntry), _ rules: JSONValue
    ) -> JSONValue {
      [
        "identity": .integer(Int64(row.subject.rawValue)),
        "direction": row.key.direction == .ingress ? "ingress" : "egress",
        "peer": .integer(Int64(row.key.peer.rawValue)), "port": .string(port(row.key)),
        "verdict": .string(verdict(row.entry)), "rule": .integer(Int64(row.entry.rule)),
        "author": .string(rule(row.entry.rule, rules)),
      ]
    }

    private static func verdict(_ entry: PolicyEntry) -> String {
      switch entry.verdict {
      case .allow: "allow"
      case .deny: "deny"
      case .proxy: "proxy rules \(entry.proxyRules)"
      }
    }

    private static func port(_ key: PolicyKey) -> String {
      guard key.prefixLength > PolicyKey.peerPrefix else { return "any" }
      let name = TransportProtocol(key.protocol).description
      guard key.prefixLength > PolicyKey.protocolPrefix else { return "any/\(name)" }
      let ports = key.ports
      return ports.count == 1 ? "\(ports.lowerBound)/\(name)" : "\(ports.lowerBound)-\(ports.upperBound)/\(name)"
    }

    private static func rule(_ number: UInt32, _ rules: JSONValue) -> String {
      guard let origin = rules[String(number)] else { return String(number) }
      let object = origin["object"]?.stringValue ?? ""
      return object.isEmpty
        ? origin["description"]?.stringValue ?? "" : "\(object) \(origin["path"]?.stringValue ?? "")"
    }
  }

  struct IPCacheList: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "ipcache", abstract: "Which identity an address outside of this node's pods has.",
      discussion: "Example: martlet bpf ipcache list")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "list") var verb = ListVerb.list

    func run() throws {
      try readingKernel {
        let entries = try IPCache.pinned(instance.pins).entries()
        output.print(
          .array(
            entries.map {
              ["cidr": .string($0.block.description), "identity": .integer(Int64($0.identity.rawValue))]
            })
        ) { _ in
          var table = Table("CIDR", "IDENTITY")
          for entry in entries { table.add(entry.block.description, entry.identity.description) }
          return table.text
        }
      }
    }
  }

  struct Connections: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "ct", abstract: "The connections that the kernel tracks.",
      discussion: "Example: martlet bpf ct list -o json")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions
    @Argument(help: "list") var verb = ListVerb.list

    func run() throws {
      try readingKernel {
        let table = try ConnectionTable.pinned(instance.pins)
        let connections = try table.connections().sorted { ($0.source, $0.sourcePort) < ($1.source, $1.sourcePort) }
        output.print(.array(connections.map(Connections.document))) { _ in
          var table = Table("PROTOCOL", "SOURCE", "DESTINATION", "IDENTITIES", "EXPIRES", "STATE")
          for connection in connections {
            table.add(
              TransportProtocol(connection.ipProtocol).description,
              "\(connection.source.bracketed):\(connection.sourcePort)",
              "\(connection.destination.bracketed):\(connection.destinationPort)",
              "\(connection.originIdentity)->\(connection.replyIdentity)", "\(connection.secondsLeft)s",
              Connections.state(connection))
          }
          return table.text
        }
      }
    }

    private static func state(_ connection: Connection) -> String {
      var words: [String] = []
      if connection.isUpstream { words.append("upstream") }
      if connection.isProxied { words.append("proxied") }
      words.append(connection.isClosing ? "closing" : connection.seenReply ? "established" : "new")
      return words.joined(separator: ",")
    }

    private static func document(_ connection: Connection) -> JSONValue {
      [
        "protocol": .string(TransportProtocol(connection.ipProtocol).description),
        "source": .string(connection.source.description),
        "sourcePort": .integer(Int64(connection.sourcePort)),
        "destination": .string(connection.destination.description),
        "destinationPort": .integer(Int64(connection.destinationPort)),
        "sourceIdentity": .integer(Int64(connection.originIdentity)),
        "destinationIdentity": .integer(Int64(connection.replyIdentity)),
        "expiresInSeconds": .integer(Int64(connection.secondsLeft)), "state": .string(state(connection)),
        "egressRule": .integer(Int64(connection.egressRule)), "ingressRule": .integer(Int64(connection.ingressRule)),
        "proxyRules": .integer(Int64(connection.proxyRules)),
        "egressProxyRules": .integer(Int64(connection.egressProxyRules)),
      ]
    }
  }
}

/// What can be done with a kind of the kernel's tables.
enum ListVerb: String, ExpressibleByArgument, CaseIterable { case list }

extension InstanceOptions {
  /// Where the instance's maps are pinned, through the root of `martlet up`, whose mount namespace may be another one.
  fileprivate var pins: DatapathPins {
    let root = directory.runningHost.map { "/proc/\($0)/root" } ?? ""
    return DatapathPins(root: root + directory.pins)
  }
}

/// Says what could not be read, and why that may be.
private func readingKernel(_ body: () throws -> Void) throws {
  do { try body() } catch let error as BPFError {
    complain("\(error)")
    complain(
      "must run as root where the instance's maps are pinned; --state-dir or $MARTLET_STATE_DIR names the instance")
    throw Exit.unreachable
  }
}
