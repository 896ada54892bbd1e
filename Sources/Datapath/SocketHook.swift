import BPF

/// How one of the programs at the socket is attached, now.
public struct SocketHook: Hashable, Sendable {
  public enum State: Hashable, Sendable {
    case attached
    /// Nothing is pinned: it was never attached, or someone removed it.
    case missing
    /// The link is there, its cgroup is not: no process is behind it.
    case dead
    /// It is attached to another cgroup than it should be.
    case elsewhere(cgroupID: UInt64)
    /// The link could not be read.
    case unknown(reason: String)
  }

  /// Of the program, such as `sock4_connect`.
  public let name: String
  /// Where it should be attached.
  public let cgroup: String
  public let state: State

  public var isHealthy: Bool { state == .attached }

  /// A sentence for people, without what is in order.
  public var problem: String? {
    switch state {
    case .attached: nil
    case .missing: "\(name) is not attached to \(cgroup)"
    case .dead: "\(name) is attached to a cgroup that is gone, not to \(cgroup)"
    case .elsewhere(let id): "\(name) is attached to the cgroup with number \(id), not to \(cgroup)"
    case .unknown(let reason): "\(name) can not be examined: \(reason)"
    }
  }
}

extension DatapathPins {
  /// The state of every program at the socket, by name. Asks the kernel; needs no agent.
  public func socketHooks(_ cgroups: SocketCgroups) throws(BPFError) -> [SocketHook] {
    try ObjectSpecification(bytes: BPFObjects.socket, name: "socket").programs.map(\.name).sorted().map { name in
      let cgroup = cgroups.path(program: name)
      return SocketHook(name: name, cgroup: cgroup, state: state(of: name, cgroup))
    }
  }

  private func state(of name: String, _ cgroup: String) -> SocketHook.State {
    do throws(BPFError) {
      let info = try Link.fromPin(socketLink(name)).info()
      if info.cgroupID == 0 { return .dead }
      return info.cgroupID == SocketCgroups.id(cgroup) ? .attached : .elsewhere(cgroupID: info.cgroupID)
    } catch {
      return error.name == "ENOENT" ? .missing : .unknown(reason: "\(error)")
    }
  }
}
