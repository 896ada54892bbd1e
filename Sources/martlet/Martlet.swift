import Agent
import ArgumentParser
import CNI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

@main
struct Main {
  static func main() async {
    // The plugin is started for every pod: it takes the shortest way in.
    let arguments = CommandLine.arguments.dropFirst()
    // Runtimes start it without arguments, by a link `martlet` in their folder of plugins.
    let isPlugin = arguments.isEmpty && getenv("CNI_COMMAND") != nil
    if isPlugin || arguments == ["cni"] { CNICommandLine.run() }
    if let word = HelpRequest.unknownVerb(in: arguments) {
      complain("there is no verb \"\(word)\"; `martlet help` lists them")
      exit(2)
    }
    do {
      var command = try Martlet.parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      guard Martlet.exitCode(for: error) == .validationFailure else { Martlet.exit(withError: error) }
      complain(Martlet.fullMessage(for: error))
      exit(2)
    }
  }
}

/// `martlet help VERB…`: the library answers what it does not know with the help of what it does.
enum HelpRequest {
  static func unknownVerb(in arguments: some Sequence<String>) -> String? {
    let words = arguments.filter { !$0.hasPrefix("-") }
    guard words.first == "help" else { return nil }
    var command: any ParsableCommand.Type = Martlet.self
    for word in words.dropFirst() where word != "help" {
      guard let next = command.configuration.subcommands.first(where: { $0._commandName == word }) else { return word }
      command = next
    }
    return nil
  }
}

struct Martlet: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "martlet",
    abstract: "A service mesh without sidecars: the kernel carries, judges and observes the traffic.",
    discussion: """
      A whole cluster on this host:   martlet up
      A workload in it:               martlet run --name web -l app=web --port http=8080 -- ./server
      What happens:                   martlet observe --follow

      Every verb finds its instance by --state-dir or $MARTLET_STATE_DIR. Exit codes: 0 good, 1 the answer is no, 2 wrong \
      use, 3 the agent can not be reached.
      """,
    version: Version.current,
    subcommands: [
      Up.self, Down.self, Status.self, Run.self, Exec.self, Logs.self, EndpointVerb.self, IdentityVerb.self,
      ServiceVerb.self, RouteVerb.self, FQDNVerb.self,
      PolicyVerb.self, Why.self, Observe.self, BPFVerb.self, AgentVerb.self, ProxyVerb.self, CNIVerb.self,
      BookinfoVerb.self, BenchVerb.self,
    ])
}
