import Addressing
import ArgumentParser
import Datapath
import JSON
import KernelABI
import NodeAPI

struct NATList: KernelList {
  static let configuration = list("nat", "The connections whose packets the kernel translates.", example: " -o json")

  @OptionGroup var options: KernelListOptions

  struct Row {
    let translation: Translation
    /// `namespace/name`, the number when there is no agent that knows; empty for masquerading.
    let service: String
  }

  func rows() throws -> [Row] {
    let found = try NATTable.pinned(options.pins).translations()
    let services =
      (try? NodeClient(socketPath: options.instance.directory.agentSocket)
        .get("/v1/services", listOf: ServiceModel.self)) ?? []
    var names: [UInt32: String] = [:]
    for service in services {
      for frontend in service.frontends {
        for number in [frontend.number, frontend.externalNumber] {
          names[number] = "\(service.namespace)/\(service.name)"
        }
      }
    }
    return found.map { translation in
      let number = translation.service
      return Row(translation: translation, service: number == 0 ? "" : names[number] ?? String(number))
    }
  }

  static func table(_ rows: [Row], wide: Bool) -> Table {
    var table = Table(
      "PROTOCOL", "SOURCE", "DESTINATION", "NEW SOURCE", "NEW DESTINATION", "SERVICE", "EXPIRES", "STATE")
    for row in rows {
      let translation = row.translation
      func changed(_ new: ConnectionEnd, _ old: ConnectionEnd) -> String { new == old ? "-" : text(new) }
      table.add(
        TransportProtocol(translation.ipProtocol).description, text(translation.source), text(translation.destination),
        changed(translation.translatedSource, translation.source),
        changed(translation.translatedDestination, translation.destination), row.service.isEmpty ? "-" : row.service,
        "\(translation.secondsLeft)s", state(translation))
    }
    return table
  }

  private static func text(_ end: ConnectionEnd) -> String { "\(end.address.bracketed):\(end.port)" }

  private static func state(_ translation: Translation) -> String {
    var words: [String] = []
    if translation.isHairpin { words.append("hairpin") }
    if translation.isOneWay { words.append("one-way") }
    if translation.isIncomplete { words.append("incomplete") }
    words.append(translation.isClosing ? "closing" : translation.seenReply ? "established" : "new")
    return words.joined(separator: ",")
  }

  static func document(_ row: Row) -> JSONValue {
    let translation = row.translation
    func end(_ end: ConnectionEnd) -> JSONValue {
      ["address": .string(end.address.description), "port": .integer(Int64(end.port))]
    }
    return [
      "protocol": .string(TransportProtocol(translation.ipProtocol).description),
      "source": end(translation.source), "destination": end(translation.destination),
      "newSource": end(translation.translatedSource), "newDestination": end(translation.translatedDestination),
      "service": .integer(Int64(translation.service)), "serviceName": .string(row.service),
      "backend": .integer(Int64(translation.backend)), "expiresInSeconds": .integer(Int64(translation.secondsLeft)),
      "ageInSeconds": .integer(Int64(translation.age)), "state": .string(state(translation)),
    ]
  }
}
