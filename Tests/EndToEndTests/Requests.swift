/// The two families that every case is tried in.
enum Family: String, CaseIterable { case ipv4, ipv6 }

/// Who sends a request, or receives one.
enum Place: Hashable, CustomStringConvertible {
  case pod(String)
  case podIn(namespace: String, String)
  case host
  case world
  /// The world's other address.
  case farWorld

  var description: String {
    switch self {
    case .pod(let name): name
    case .podIn(let namespace, let name): "\(namespace)/\(name)"
    case .host: "host"
    case .world: "world"
    case .farWorld: "far world"
    }
  }
}

extension Node {
  func address(of place: Place, _ family: Family) throws -> String {
    switch place {
    case .pod(let name): try address(of: name, family)
    case .podIn(let namespace, let name): try address(of: name, namespace: namespace, family)
    case .host: family == .ipv4 ? "192.0.2.1" : "2001:db8::1"
    case .world: family == .ipv4 ? "192.0.2.2" : "2001:db8::2"
    case .farWorld: family == .ipv4 ? "192.0.2.3" : "2001:db8::3"
    }
  }

  func run(_ command: [String], at place: Place) throws -> Outcome {
    switch place {
    case .pod(let name): try exec(name, command)
    case .podIn(let namespace, let name): try exec(name, namespace: namespace, command)
    case .host: try onNode(command)
    case .world, .farWorld: try inWorld(command)
    }
  }

  func url(of place: Place, port: Int = 9080, path: String = "/ratings/0", _ family: Family) throws -> String {
    let address = try address(of: place, family)
    return "http://\(family == .ipv4 ? address : "[\(address)]"):\(port)\(path)"
  }

  /// The status of one request's answer; nil when there was no connection.
  func request(
    from source: Place, to destination: Place, port: Int = 9080, method: String = "GET", path: String = "/ratings/0",
    headers: [String] = [], family: Family, timeout: Double
  ) throws -> String? {
    let command =
      [Node.binary, "bookinfo", "request", "--status-only", "--method", method, "--timeout", "\(timeout)"]
      + headers.flatMap { ["--header", $0] }
    let url = try url(of: destination, port: port, path: path, family)
    let outcome = try run(command + [url], at: source)
    return outcome.status == 0 ? outcome.text : nil
  }
}
