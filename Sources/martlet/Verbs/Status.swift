import ArgumentParser
import JSON
import NodeAPI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct Status: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show how this node's mesh is doing.",
    discussion: "Example: martlet status --wait --timeout 60s")

  @OptionGroup var instance: InstanceOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "Wait until the agent is ready.")
  var wait = false

  @Option(help: "How long to wait: 500ms, 30s, 2m.", transform: parseDuration)
  var timeout = Duration.seconds(60)

  func run() throws {
    let directory = instance.directory
    if wait {
      let deadline = ContinuousClock.now + timeout
      while ContinuousClock.now < deadline {
        if let status = try? NodeClient(socketPath: directory.agentSocket).get("/v1/status", as: AgentStatus.self),
          status.ready
        {
          break
        }
        usleep(20_000)
      }
    }
    let status = try directory.ask { client throws(NodeError) in try client.get("/v1/status", as: AgentStatus.self) }
    output.print(status.json) { _ in
      let width = (status.components.map(\.name.count).max() ?? 0) + 2
      return
        (status.components.map { component in
          let name = component.name + ":"
          return name + String(repeating: " ", count: max(1, width - name.count)) + component.message
            + (component.ok ? "" : "   <- needs attention")
        } + [
          "",
          "martlet \(status.version), node \(status.nodeName), agent pid \(status.pid), since \(status.startedAt)",
          "\(status.endpointCount) endpoints, \(status.identityCount) identities, \(status.policyCount) policies, "
            + "policy revision \(status.policyRevision)",
        ]).joined(separator: "\n")
    }
    if !status.ready || !status.components.allSatisfy(\.ok) { throw Exit.no }
  }
}

/// Reads `500ms`, `30s`, `2m`, `1h`.
func parseDuration(_ text: String) throws -> Duration {
  let units: [(String, Double)] = [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)]
  for (unit, seconds) in units where text.hasSuffix(unit) {
    if let number = Double(text.dropLast(unit.count)), number >= 0 { return .seconds(number * seconds) }
  }
  throw ValidationError("\"\(text)\" is not a duration such as 500ms, 30s or 2m")
}
