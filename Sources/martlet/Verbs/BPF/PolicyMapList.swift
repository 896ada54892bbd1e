import Addressing
import ArgumentParser
import Datapath
import Identity
import JSON
import NodeAPI
import Policy

struct PolicyMapList: KernelList {
  static let configuration = list("policy", "The policy of each identity, entry by entry.", example: " 256")

  @OptionGroup var options: KernelListOptions
  @Argument(help: "Only of this identity.") var identity: UInt32?

  struct Row {
    let subject: NumericIdentity
    let key: PolicyKey
    let entry: PolicyEntry
    /// The rule that wrote it; its number when there is no agent that knows.
    let author: String
  }

  func rows() throws -> [Row] {
    let tables = try PolicyTables.pinned(options.pins)
    let rules =
      (try? NodeClient(socketPath: options.instance.directory.agentSocket).get("/v1/rules")) ?? [:]
    var rows: [Row] = []
    for subject in try tables.identities() where identity == nil || subject.rawValue == identity {
      for (key, entry) in (try tables.state(subject) ?? [:]).sorted(by: { $0.key < $1.key }) {
        rows.append(Row(subject: subject, key: key, entry: entry, author: PolicyMapList.author(entry.rule, rules)))
      }
    }
    return rows
  }

  static func document(_ row: Row) -> JSONValue {
    [
      "identity": .integer(Int64(row.subject.rawValue)),
      "direction": row.key.direction == .ingress ? "ingress" : "egress",
      "peer": .integer(Int64(row.key.peer.rawValue)), "port": .string(port(row.key)),
      "verdict": .string(verdict(row.entry)), "rule": .integer(Int64(row.entry.rule)), "author": .string(row.author),
    ]
  }

  static func table(_ rows: [Row], wide: Bool) -> Table {
    var table = Table("IDENTITY", "DIRECTION", "PEER", "PORT", "VERDICT", "RULE")
    for row in rows {
      table.add(
        row.subject.description, row.key.direction == .ingress ? "ingress" : "egress",
        row.key.peer == .any ? "any" : row.key.peer.description, port(row.key), verdict(row.entry), row.author)
    }
    return table
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

  private static func author(_ number: UInt32, _ rules: JSONValue) -> String {
    guard let origin = rules[String(number)] else { return String(number) }
    let object = origin["object"]?.stringValue ?? ""
    return object.isEmpty
      ? origin["description"]?.stringValue ?? "" : "\(object) \(origin["path"]?.stringValue ?? "")"
  }
}
