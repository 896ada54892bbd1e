import ArgumentParser
import JSON
import NodeAPI

struct IdentityVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "identity", abstract: "Who can be named in policies: sets of labels and their numbers.",
    discussion: "Example: martlet identity list -o json",
    subcommands: [List.self, Get.self], defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the identities.", discussion: "Example: martlet identity list")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let identities = try IdentityVerb.all(instance)
      output.print(.array(identities.map(\.json))) { _ in
        var table = Table("ID", "ENDPOINTS", "LABELS")
        for identity in identities {
          table.add(String(identity.id), String(identity.endpointCount), IdentityVerb.text(identity.labels))
        }
        return table.text
      }
    }
  }

  struct Get: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show one identity.", discussion: "Example: martlet identity get 256")

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The identity's number.")
    var id: UInt32

    func run() throws {
      guard let found = try IdentityVerb.all(instance).first(where: { $0.id == id }) else {
        complain("no identity \(id) is known here; `martlet identity list` shows them")
        throw Exit.usage
      }
      output.print(found.json) { _ in YAMLText.of(found.json) }
    }
  }

  private static func all(_ instance: InstanceOptions) throws -> [IdentityModel] {
    try instance.directory.ask { client throws(NodeError) in
      try client.get("/v1/identities", listOf: IdentityModel.self)
    }
  }

  private static func text(_ labels: [String: String]) -> String {
    labels.sorted { $0.key < $1.key }.map { $0.value.isEmpty ? $0.key : "\($0.key)=\($0.value)" }.joined(separator: ",")
  }
}
