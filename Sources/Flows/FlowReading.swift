import Addressing
import JSON

extension Flow {
  /// Reads one line of `hubble observe -o json` or `martlet observe -o json`, with or without the wrapping object. Times,
  /// verdicts' authors and what else the mesh does not look at are left out.
  public init(hubble document: JSONValue) throws(FieldError) {
    let flow = JSONCursor(document["flow"] ?? document, path: document["flow"] == nil ? "" : "flow")
    let addresses = try flow.required("IP")
    let source = try Flow.endpoint(flow, "source", try addresses.required("source"))
    let destination = try Flow.endpoint(flow, "destination", try addresses.required("destination"))
    let name = try flow.member("verdict")?.string() ?? ""
    self.init(
      time: 0, verdict: Verdict(rawValue: name) ?? .forwarded,
      direction: try flow.member("traffic_direction")?.string() == Direction.ingress.rawValue ? .ingress : .egress,
      source: source, destination: destination, ipProtocol: 0)
    isReply = try flow.member("is_reply")?.bool() ?? false
    try readTransport(flow)
    if let http = try flow.member("l7")?.member("http") {
      self.http = HTTP(
        code: UInt32(clamping: try http.member("code")?.integer() ?? 0), method: try http.required("method").string(),
        url: try http.required("url").string(), version: try http.member("protocol")?.string() ?? "", latency: 0)
    }
  }

  private mutating func readTransport(_ flow: JSONCursor) throws(FieldError) {
    let l4 = try flow.required("l4")
    for (name, number) in [("TCP", 6), ("UDP", 17), ("SCTP", 132)] as [(String, UInt8)] {
      guard let ports = try l4.member(name) else { continue }
      ipProtocol = number
      source.port = UInt16(clamping: try ports.member("source_port")?.integer() ?? 0)
      destination.port = UInt16(clamping: try ports.member("destination_port")?.integer() ?? 0)
      return
    }
    for (name, number) in [("ICMPv4", 1), ("ICMPv6", 58)] as [(String, UInt8)] {
      guard let message = try l4.member(name) else { continue }
      ipProtocol = number
      icmpType = UInt8(clamping: try message.member("type")?.integer() ?? 0)
      icmpCode = UInt8(clamping: try message.member("code")?.integer() ?? 0)
      return
    }
    throw l4.error("names no protocol that is known here")
  }

  private static func endpoint(
    _ flow: JSONCursor, _ name: String, _ address: JSONCursor
  ) throws(FieldError) -> Endpoint {
    guard let parsed = IPAddress(try address.string()) else { throw address.error("is not an IP address") }
    var endpoint = Endpoint(address: parsed)
    guard let written = try flow.member(name) else { return endpoint }
    endpoint.identity = UInt32(clamping: try written.member("identity")?.integer() ?? 0)
    endpoint.namespace = try written.member("namespace")?.string() ?? ""
    endpoint.pod = try written.member("pod_name")?.string() ?? ""
    for label in try written.member("labels")?.elements() ?? [] { endpoint.labels.append(try label.string()) }
    return endpoint
  }
}
