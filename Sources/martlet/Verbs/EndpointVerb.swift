import ArgumentParser
import JSON
import NodeAPI

struct EndpointVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "endpoint", abstract: "The pods that this node connects.",
    discussion: "Example: martlet endpoint list", subcommands: [List.self, Get.self, Audit.self],
    defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the endpoints.", discussion: "Example: martlet endpoint list -o wide")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let endpoints = try instance.directory.ask { client throws(NodeError) in
        try client.get("/v1/endpoints", listOf: EndpointModel.self)
      }
      output.print(.array(endpoints.map(\.json))) { wide in
        var table =
          wide
          ? Table("ENDPOINT", "POD", "INGRESS", "EGRESS", "IDENTITY", "IPV4", "IPV6", "STATE", "DEVICE", "LABELS")
          : Table("ENDPOINT", "POD", "INGRESS", "EGRESS", "IDENTITY", "IPV4", "IPV6", "STATE")
        for endpoint in endpoints {
          var row = [
            String(endpoint.id), "\(endpoint.namespace)/\(endpoint.pod)",
            mode(endpoint.enforcesIngress, endpoint), mode(endpoint.enforcesEgress, endpoint),
            String(endpoint.identity), endpoint.ipv4 ?? "", endpoint.ipv6 ?? "", endpoint.state.rawValue,
          ]
          if wide {
            row += [
              endpoint.ifname,
              endpoint.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ","),
            ]
          }
          table.add(row)
        }
        return table.text
      }
    }

    private func mode(_ enforces: Bool, _ endpoint: EndpointModel) -> String {
      enforces ? endpoint.isAudit ? "Audit" : "Enforced" : "Open"
    }
  }

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one endpoint.", discussion: "Example: martlet endpoint get default/web -o json")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "NAMESPACE/POD, or an endpoint's id.")
    var endpoint: String

    func run() throws {
      let endpoints = try instance.directory.ask { client throws(NodeError) in
        try client.get("/v1/endpoints", listOf: EndpointModel.self)
      }
      let name = endpoint.contains("/") ? endpoint : "default/\(endpoint)"
      guard
        let found = endpoints.first(where: { "\($0.namespace)/\($0.pod)" == name || String($0.id) == endpoint })
      else {
        complain("no endpoint \(endpoint) on this node; `martlet endpoint list` shows them")
        throw Exit.usage
      }
      output.print(found.json) { _ in YAMLText.of(found.json) }
    }
  }
}
