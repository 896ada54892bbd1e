import Addressing

/// Which flows an observer wants. Members of one list are alternatives; the lists must all match; an empty list matches
/// everything.
public struct FlowFilter: Hashable, Sendable {
  /// `namespace/pod`, `namespace/`, or a prefix of a pod's name in `default`.
  public var pods: [String] = []
  public var sourcePods: [String] = []
  public var destinationPods: [String] = []
  public var namespaces: [String] = []
  /// As `pods`, of the Service by which the client reached its server.
  public var services: [String] = []
  public var verdicts: [Flow.Verdict] = []
  public var dropReasons: [UInt8] = []
  /// Names as `Flow.protocolName` gives them, in any case; `icmp` is both families' ICMP.
  public var protocols: [String] = []
  public var ports: [UInt16] = []
  public var addresses: [CIDR] = []
  public var httpMethods: [String] = []
  public var httpStatus: [HTTPStatusRange] = []
  /// 32 hexadecimal digits, in any case.
  public var traceIDs: [String] = []
  /// Nanoseconds since the epoch.
  public var since: UInt64?
  public var until: UInt64?

  public init() {}

  public func matches(_ flow: Flow) -> Bool {
    func any<Element>(_ list: [Element], _ test: (Element) -> Bool) -> Bool {
      list.isEmpty || list.contains(where: test)
    }
    let ends = [flow.source, flow.destination]
    return any(verdicts) { $0 == flow.verdict }
      && any(dropReasons) { $0 == flow.dropReason }
      && any(protocols) { FlowFilter.matches(protocol: $0, flow) }
      && any(ports) { port in ends.contains { $0.port == port } }
      && any(namespaces) { namespace in ends.contains { $0.namespace == namespace } }
      && any(pods) { pod in ends.contains { FlowFilter.matches(pod: pod, $0) } }
      && any(sourcePods) { FlowFilter.matches(pod: $0, flow.source) }
      && any(destinationPods) { FlowFilter.matches(pod: $0, flow.destination) }
      && any(services) { FlowFilter.matches(service: $0, flow.service) }
      && any(addresses) { block in ends.contains { block.contains($0.address) } }
      && any(httpMethods) { $0.uppercased() == flow.http?.method }
      && any(httpStatus) { range in flow.http.map { range.contains($0.code) } ?? false }
      && any(traceIDs) { $0.lowercased() == flow.traceID }
      && since.map { flow.time >= $0 } ?? true
      && until.map { flow.time <= $0 } ?? true
  }

  private static func matches(pod: String, _ endpoint: Flow.Endpoint) -> Bool {
    !endpoint.pod.isEmpty && matches(pod, endpoint.namespace, endpoint.pod)
  }

  private static func matches(service: String, _ known: Flow.Service?) -> Bool {
    known.map { matches(service, $0.namespace, $0.name) } ?? false
  }

  private static func matches(_ wanted: String, _ namespace: String, _ name: String) -> Bool {
    let parts = wanted.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let (wantedNamespace, prefix) = parts.count == 2 ? (parts[0], parts[1]) : ("default", parts[0])
    return (wantedNamespace.isEmpty || namespace == wantedNamespace) && name.hasPrefix(prefix)
  }

  private static func matches(protocol name: String, _ flow: Flow) -> Bool {
    let name = name.lowercased()
    switch name {
    case "icmp": return TransportProtocol(flow.ipProtocol).isICMP
    case "tcp": return flow.ipProtocol == TransportProtocol.tcp.rawValue
    default: return flow.protocolName.lowercased() == name
    }
  }
}

/// Status codes as `--http-status` takes them: `404`, `5+` (a class and above it), `500-599`.
public struct HTTPStatusRange: Hashable, Sendable {
  public let range: ClosedRange<UInt32>

  public init?(_ text: some StringProtocol) {
    func number(_ text: some StringProtocol) -> UInt32? { text.utf8.count == 3 ? UInt32(text) : nil }
    if let code = number(text) {
      range = code...code
    } else if text.hasSuffix("+"), text.count == 2, let digit = UInt32(text.dropLast()), 1...5 ~= digit {
      range = digit * 100...digit * 100 + 99
    } else {
      let parts = text.split(separator: "-", omittingEmptySubsequences: false)
      guard parts.count == 2, let low = number(parts[0]), let high = number(parts[1]), low <= high else { return nil }
      range = low...high
    }
  }

  public func contains(_ code: UInt32) -> Bool { range.contains(code) }
}
