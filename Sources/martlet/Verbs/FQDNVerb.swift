import ArgumentParser
import JSON
import NodeAPI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct FQDNVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fqdn", abstract: "What DNS names were answered with on this node.",
    discussion: "Example: martlet fqdn list", subcommands: [List.self],
    defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the names, their addresses and the toFQDNs selectors that they match.",
      discussion: "Example: martlet fqdn list -o json")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let names = try instance.directory.ask { client throws(NodeError) in
        try client.get("/v1/names", listOf: NameModel.self)
      }
      let now = Int64(time(nil))
      output.print(.array(names.map(\.json))) { _ in
        var table = Table("NAME", "ADDRESS", "IDENTITY", "TTL", "SELECTORS")
        for name in names {
          for address in name.addresses {
            table.add(
              name.name.isEmpty ? "." : name.name, address.address,
              address.identity == 0 ? "-" : String(address.identity),
              address.expires > now ? "\(address.expires - now)s" : "expired",
              name.patterns.isEmpty ? "-" : name.patterns.joined(separator: ","))
          }
        }
        return table.text
      }
    }
  }
}
