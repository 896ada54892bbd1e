import Datapath
import NodeAPI

extension Agent {
  /// Why the source ports of translated connections are not free for them; nil when they are.
  var natPortsProblem: String? {
    NATPorts.problem(configuration.natPorts, nodePorts: configuration.nodePorts, ephemeral: NATPorts.ephemeral())
  }

  /// As users know it: what of kube-proxy's work is done here. `True` with both: at the socket for clients on the node, in
  /// packets for those outside of it.
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
    problems += devices.problems.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    if let problem = native.problem { problems.append(problem) }
    if let problem = datapath.directReturns.problem { problems.append(problem) }
    let details: [String]
    do { details = try packetDetails() } catch {
      problems.append("\(error)")
      details = []
    }
    guard problems.isEmpty else {
      return AgentStatus.Component(
        name: "KubeProxyReplacement", ok: false, message: "Degraded, \(problems.joined(separator: "; "))")
    }
    let sockets = "sockets of pods and of the node"
    guard !configuration.devices.isEmpty else {
      return AgentStatus.Component(
        name: "KubeProxyReplacement", ok: true,
        message: "Partial [\(sockets); no device is named with --device, so not for clients outside of the node]")
    }
    return AgentStatus.Component(
      name: "KubeProxyReplacement", ok: true, message: "True [\(([sockets] + details).joined(separator: "; "))]")
  }

  /// Devices with the node's addresses there, XDP, masquerading, NAT's ports and entries.
  private func packetDetails() throws -> [String] {
    let addresses = Dictionary(uniqueKeysWithValues: try datapath.devices.devices().map { ($0.index, $0.addresses) })
    let attached = datapath.host.devices.sorted { $0.key < $1.key }.map { name, index in
      let known = (addresses[index] ?? []).map(\.description)
      return known.isEmpty ? "\(name) (no address)" : "\(name) (\(known.joined(separator: ", ")))"
    }
    let exceptions = try datapath.native.blocks().map(\.description)
    let table = datapath.translations
    return [
      "packets on " + attached.joined(separator: ", "), accelerator.summary(datapath.host.devices),
      "mode \(configuration.loadBalancerMode.rawValue)",
      configuration.masquerades
        ? "masquerading except to \(exceptions.joined(separator: ", "))" : "no masquerading",
      "NAT ports \(configuration.natPorts.lowerBound)-\(configuration.natPorts.upperBound), "
        + "\(try table.count())/\(table.capacity) entries",
    ] + (natPortsProblem.map { ["but \($0)"] } ?? [])
  }
}
