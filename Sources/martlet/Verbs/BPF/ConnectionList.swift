import Addressing
import ArgumentParser
import Datapath
import JSON

struct ConnectionList: KernelList {
  static let configuration = list("ct", "The connections that the kernel tracks.", example: " -o json")

  @OptionGroup var options: KernelListOptions

  func rows() throws -> [Connection] {
    try ConnectionTable.pinned(options.pins).connections()
      .sorted { ($0.source, $0.sourcePort) < ($1.source, $1.sourcePort) }
  }

  static func table(_ connections: [Connection], wide: Bool) -> Table {
    var table = Table("PROTOCOL", "SOURCE", "DESTINATION", "IDENTITIES", "EXPIRES", "STATE")
    for connection in connections {
      table.add(
        TransportProtocol(connection.ipProtocol).description,
        "\(connection.source.bracketed):\(connection.sourcePort)",
        "\(connection.destination.bracketed):\(connection.destinationPort)",
        "\(connection.originIdentity)->\(connection.replyIdentity)", "\(connection.secondsLeft)s", state(connection))
    }
    return table
  }

  private static func state(_ connection: Connection) -> String {
    var words: [String] = []
    if connection.isUpstream { words.append("upstream") }
    if connection.isProxied { words.append("proxied") }
    words.append(connection.isClosing ? "closing" : connection.seenReply ? "established" : "new")
    return words.joined(separator: ",")
  }

  static func document(_ connection: Connection) -> JSONValue {
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
      "service": .integer(Int64(connection.service)),
    ]
  }
}
