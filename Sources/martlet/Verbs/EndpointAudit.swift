import ArgumentParser
import JSON
import KubernetesAPI
import NodeAPI
import Policy

extension EndpointVerb {
  /// The annotation is the truth, so that the mode outlives agents and is seen by everyone who looks at the pod.
  struct Audit: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Only watch what policy says of a pod, or enforce it again.",
      discussion: """
        In audit mode nothing is dropped by the pod's policies; `martlet observe --verdict AUDIT` shows what would be. \
        Sets the pod's annotation policy.martlet.io/audit. `martlet up --audit` does it for the whole node.
        Example: martlet endpoint audit default/web on
        """)

    enum Mode: String, ExpressibleByArgument, CaseIterable {
      case on, off
    }

    @OptionGroup var instance: InstanceOptions

    @Argument(help: "NAMESPACE/POD.")
    var endpoint: String

    @Argument(help: "on or off.")
    var mode: Mode

    func run() async throws {
      let name = endpoint.contains("/") ? endpoint : "default/\(endpoint)"
      let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
      guard parts.count == 2 else { throw ValidationError("\"\(endpoint)\" is not NAMESPACE/POD") }
      let value: JSONValue = mode == .on ? .string(PolicyMode.podAnnotationValue) : .null
      let client = try apiClient(instance)
      do throws(KubernetesError) {
        _ = try await client.patch(
          Pod.resource, namespace: parts[0], name: parts[1], .merge,
          ["metadata": ["annotations": [PolicyMode.podAnnotation: value]]])
      } catch {
        complain("\(error)")
        if error.isNotFound { throw Exit.usage }
        if error.code == nil { complain("is `martlet up` running?") }
        throw error.code == nil ? Exit.unreachable : Exit.no
      }
      try await wait(for: name)
    }

    /// Returns when the kernel does as told.
    private func wait(for name: String) async throws {
      let deadline = ContinuousClock.now + .seconds(10)
      while ContinuousClock.now < deadline {
        let endpoints = try instance.directory.ask { client throws(NodeError) in
          try client.get("/v1/endpoints", listOf: EndpointModel.self)
        }
        guard let found = endpoints.first(where: { "\($0.namespace)/\($0.pod)" == name }) else {
          complain("pod \(name) is not an endpoint of this node; the annotation counts once it is")
          return
        }
        if found.isAudit == (mode == .on) { return }
        try await Task.sleep(for: .milliseconds(10))
      }
      complain("the agent has not put \(name) into the mode yet")
      throw Exit.no
    }
  }
}

/// A client of this instance's API; ends the program with exit code 3 and a hint when there is none.
func apiClient(_ instance: InstanceOptions) throws(ExitCode) -> KubernetesClient {
  do throws(ConfigurationError) {
    return try KubernetesClient(configuration: .kubeconfig(path: instance.directory.kubeconfig))
  } catch {
    complain("\(error); is `martlet up` running?")
    throw Exit.unreachable
  }
}
