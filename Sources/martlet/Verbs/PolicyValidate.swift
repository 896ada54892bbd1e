import Addressing
import ArgumentParser
import ControlPlane
import Identity
import JSON
import KubernetesAPI
import NodeAPI
import Policy
import PolicyLint

extension PolicyVerb {
  struct Validate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Review policies before they are applied.",
      discussion: """
        Says what the API would refuse, and what is valid but probably not meant: rules that can never match or change \
        nothing, patterns that mean something else than they look like, pods locked out of DNS. Needs no node; with one \
        running it also compares with its pods, and with the Services and CIDR groups of its cluster.
        Exit codes: 0 good, 1 errors (with --strict warnings too), 2 wrong use, or no policy to review.
        Example: martlet policy validate --strict policies/*.yaml
        """)

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Warnings are errors.")
    var strict = false

    @Flag(help: "Do not ask a running node, nor its cluster.")
    var offline = false

    @Argument(help: "Files of YAML or JSON; - is the standard input.")
    var files: [String]

    func run() async throws {
      let schemas = try ObjectSchemas()
      var linter = PolicyLinter { schemas.problems($0) }
      for file in files {
        do {
          linter.read(try InputText.read(file), file: file == "-" ? "<stdin>" : file)
        } catch {
          complain("\(error)")
          throw Exit.usage
        }
      }
      let findings = linter.report(live: offline ? nil : live(), referred: offline ? nil : await referred())
      if linter.counts.policies == 0, !findings.contains(where: { $0.severity == .error }) {
        complain("there is no policy in \(files.joined(separator: ", ")): \(linter.counts)")
        throw Exit.usage
      }
      output.print(.array(findings.map(\.json))) { _ in
        let errors = findings.count { $0.severity == .error }
        let lines = findings.map(\.description)
        let summary = "\(linter.counts): \(errors) errors, \(findings.count - errors) warnings"
        return (lines + [summary]).joined(separator: "\n")
      }
      if findings.contains(where: { $0.severity == .error || strict }) { throw Exit.no }
    }

    /// What policies may name, of this instance's cluster; nil when its API can not be reached.
    private func referred() async -> [JSONValue]? {
      guard let client = try? KubernetesClient(configuration: .kubeconfig(path: instance.directory.kubeconfig)) else {
        return nil
      }
      var objects: [JSONValue] = []
      for type in [Service.resource, EndpointSlice.resource, Endpoints.resource, CiliumCIDRGroup.resource] {
        guard let list = try? await client.listAll(type) else { return nil }
        objects += list.items.map { item in
          // Items of a list need not say what they are.
          var item = item
          item["kind"] = .string(type.kind)
          return item
        }
      }
      return objects
    }

    /// The pods of this instance's node; nil when none is running.
    private func live() -> LiveCluster? {
      let client = NodeClient(socketPath: instance.directory.agentSocket)
      guard let endpoints = try? client.get("/v1/endpoints?listening=true", listOf: EndpointModel.self) else {
        return nil
      }
      return LiveCluster(
        pods: endpoints.map { endpoint in
          LiveCluster.Pod(
            namespace: endpoint.namespace, name: endpoint.pod, labels: IdentityLabels(sourced: endpoint.labels),
            namedPorts: Set(endpoint.namedPorts.compactMap(NamedPort.init)),
            addresses: [endpoint.ipv4, endpoint.ipv6].compactMap { $0 }.compactMap { IPAddress($0) },
            listening: endpoint.listening.map(Set.init))
        })
    }
  }
}

extension NamedPort {
  /// From `web=80/TCP`.
  fileprivate init?(_ text: String) {
    let parts = text.split(separator: "=")
    let service = parts.last?.split(separator: "/") ?? []
    guard parts.count == 2, service.count == 2, let port = UInt16(service[0]),
      let known = TransportProtocol(name: String(service[1]))
    else { return nil }
    self.init(name: String(parts[0]), protocol: known.rawValue, port: port)
  }
}
