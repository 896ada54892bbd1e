import ArgumentParser
import JSON
import NodeAPI

struct ServiceVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "service", abstract: "What this node does for each Service: where clients send, and who answers.",
    discussion: "Example: martlet service list -o json", subcommands: [List.self, Get.self],
    defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the frontends of all Services with their backends.",
      discussion: "Example: martlet service list -o wide")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let services = try ServiceVerb.all(instance)
      output.print(.array(services.map(\.json))) { wide in
        let columns = ["SERVICE", "TYPE", "FRONTEND", "BACKENDS", "STATE"]
        var table = Table(columns + (wide ? ["TO BACKENDS", "TO CLIENTS"] : []))
        for service in services {
          let name = "\(service.namespace)/\(service.name)"
          for frontend in service.frontends {
            let row = [
              name, frontend.kinds.joined(separator: ","), ServiceVerb.text(frontend),
              ServiceVerb.text(frontend.backends), ServiceVerb.state(service),
            ]
            table.add(row + (wide ? ServiceVerb.traffic(service, frontend) : []))
          }
          if service.frontends.isEmpty {
            table.add([name, service.type, "-", "-", ServiceVerb.state(service)] + (wide ? ["-", "-"] : []))
          }
        }
        return table.text
      }
    }
  }

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one Service.", discussion: "Example: martlet service get default/web")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The Service: NAMESPACE/NAME, or a name in `default`.")
    var name: String

    func run() throws {
      let wanted = name.contains("/") ? name : "default/\(name)"
      guard let found = try ServiceVerb.all(instance).first(where: { "\($0.namespace)/\($0.name)" == wanted }) else {
        complain("no Service \(wanted) is known here; `martlet service list` shows them")
        throw Exit.usage
      }
      output.print(found.json) { _ in YAMLText.of(found.json) }
    }
  }

  private static func all(_ instance: InstanceOptions) throws -> [ServiceModel] {
    try instance.directory.ask { client throws(NodeError) in
      try client.get("/v1/services", listOf: ServiceModel.self)
    }
  }

  private static func text(_ frontend: ServiceModel.Frontend) -> String {
    let address = frontend.address.contains(":") ? "[\(frontend.address)]" : frontend.address
    return "\(address):\(frontend.port)/\(frontend.protocol)"
  }

  /// What passed for the port that this is an address of: at all of its addresses.
  private static func traffic(_ service: ServiceModel, _ frontend: ServiceModel.Frontend) -> [String] {
    guard
      let traffic = service.traffic.first(where: {
        $0.port == frontend.servicePort && $0.protocol == frontend.protocol
      })
    else { return ["-", "-"] }
    func text(_ packets: UInt64, _ bytes: UInt64) -> String { "\(packets) packets, \(bytes) bytes" }
    return [
      text(traffic.packetsToBackends, traffic.bytesToBackends), text(traffic.packetsToClients, traffic.bytesToClients),
    ]
  }

  private static func text(_ backends: [String]) -> String {
    let more = backends.count > 3 ? ", \(backends.count - 3) more" : ""
    return backends.isEmpty ? "none" : backends.prefix(3).joined(separator: ", ") + more
  }

  private static func state(_ service: ServiceModel) -> String {
    service.refusal ?? service.problems.first.map { "\($0.path): \($0.message)" } ?? "OK"
  }
}
