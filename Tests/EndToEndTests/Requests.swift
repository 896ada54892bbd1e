import Glibc

/// The two families that every case is tried in.
enum Family: String, CaseIterable { case ipv4, ipv6 }

/// Who sends a request, or receives one.
enum Place: Hashable, CustomStringConvertible {
  case pod(String)
  case podIn(namespace: String, String)
  /// In the network namespace of a pod, but not in its cgroup: its sockets are nobody's to balance.
  case beside(String)
  case host
  case world
  /// The world's other address.
  case farWorld

  var description: String {
    switch self {
    case .pod(let name): name
    case .podIn(let namespace, let name): "\(namespace)/\(name)"
    case .beside(let name): "beside-\(name)"
    case .host: "host"
    case .world: "world"
    case .farWorld: "far world"
    }
  }
}

extension Node {
  func address(of place: Place, _ family: Family) throws -> String {
    switch place {
    case .pod(let name), .beside(let name): try address(of: name, family)
    case .podIn(let namespace, let name): try address(of: name, namespace: namespace, family)
    case .host: family == .ipv4 ? "192.0.2.1" : "2001:db8::1"
    case .world: family == .ipv4 ? "192.0.2.2" : "2001:db8::2"
    case .farWorld: family == .ipv4 ? "192.0.2.3" : "2001:db8::3"
    }
  }

  func run(_ command: [String], at place: Place) throws -> Outcome {
    try EndToEndTests.command(invocation(command, at: place), environment: environment)
  }

  /// `command` as this process has to start it.
  func invocation(_ command: [String], at place: Place) -> [String] {
    switch place {
    case .pod(let name): invocation(command, at: .podIn(namespace: "default", name))
    case .podIn(let namespace, let name):
      ["ip", "netns", "exec", self.name, Node.binary, "exec", "-n", namespace, name, "--"] + command
    case .beside(let name): ["nsenter", "--net=/proc/\(process(of: name) ?? 0)/ns/net"] + command
    case .host: ["ip", "netns", "exec", name] + command
    case .world, .farWorld: ["ip", "netns", "exec", name + "w"] + command
    }
  }

  func url(of place: Place, port: Int = 9080, path: String = "/ratings/0", _ family: Family) throws -> String {
    let address = try address(of: place, family)
    return "http://\(family == .ipv4 ? address : "[\(address)]"):\(port)\(path)"
  }

  /// A process of a pod with a prober.
  private func process(of pod: String) -> pid_t? {
    entries(of: "/proc").lazy.compactMap { pid_t($0) }.first {
      let words = read("/proc/\($0)/cmdline").split(separator: "\0")
      return words.contains { $0.hasSuffix("prober.py") } && words.contains { $0 == prober(.pod(pod)) }
    }
  }

  /// The status of one request's answer; nil when there was no connection.
  func request(
    from source: Place, to destination: Place, port: Int = 9080, method: String = "GET", path: String = "/ratings/0",
    headers: [String] = [], family: Family, timeout: Double = 3
  ) throws -> String? {
    let url = try url(of: destination, port: port, path: path, family)
    let outcome = try run(
      Node.requestCommand(url, method: method, headers: headers, timeout: timeout, statusOnly: true), at: source)
    return outcome.status == 0 ? outcome.text : nil
  }

  /// The body of one request's answer.
  func body(from source: Place, to destination: Place, path: String, family: Family) throws -> Outcome {
    try run(Node.requestCommand(url(of: destination, path: path, family), timeout: 3), at: source)
  }

  static func requestCommand(
    _ url: String, method: String = "GET", headers: [String] = [], timeout: Double, statusOnly: Bool = false
  ) -> [String] {
    [binary, "bookinfo", "request", "--method", method, "--timeout", "\(timeout)"]
      + (statusOnly ? ["--status-only"] : [])
      + headers.flatMap { ["--header", $0] } + [url]
  }

  /// What became of each attempt, all of them made at the same time: those which failed to go as they should.
  func surprises(_ attempts: [Attempt], _ families: [Family] = Family.allCases) throws -> [String] {
    let started = try families.flatMap { family in
      try attempts.map { attempt in
        let url = try url(of: attempt.destination, port: attempt.port, family)
        let timeout = attempt.arrives ? 5.0 : 0.4
        let command = invocation(Node.requestCommand(url, timeout: timeout, statusOnly: true), at: attempt.source)
        let child = try Child(command, environment: environment)
        return (child, "\(attempt), \(family)", attempt.arrives)
      }
    }
    return started.filter { child, _, arrives in (child.wait() == 0) != arrives }.map { $0.1 }
  }
}
