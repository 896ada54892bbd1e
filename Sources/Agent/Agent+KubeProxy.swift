import Datapath
import NodeAPI

extension Agent {
  /// Why the source ports of translated connections are not free for them; nil when they are.
  var natPortsProblem: String? {
    NATPorts.problem(configuration.natPorts, nodePorts: configuration.nodePorts, ephemeral: NATPorts.ephemeral())
  }

  /// As users know it: what of kube-proxy's work is done here.
  var kubeProxyComponent: AgentStatus.Component {
    guard let cgroups = configuration.socketCgroups else {
      return AgentStatus.Component(name: "KubeProxyReplacement", ok: true, message: "False")
    }
    var problems: [String]
    do {
      problems = try DatapathPins(root: configuration.directory.pins).socketHooks(cgroups).compactMap(\.problem)
    } catch {
      problems = ["\(error)"]
    }
    problems += [natPortsProblem, native.problem].compactMap { $0 }
    return AgentStatus.Component(
      name: "KubeProxyReplacement", ok: problems.isEmpty,
      message: problems.isEmpty
        ? "Partial [sockets of pods and of the node; not for clients outside the node]"
        : "Degraded, \(problems.joined(separator: "; "))")
  }
}
