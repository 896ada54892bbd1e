import Addressing
import CMartletABI
import Flows
import JSON
import KernelABI
import Testing

private struct Names: FlowResolver {
  func endpoint(id: UInt32) -> (namespace: String, pod: String)? { id == 7 ? ("default", "a") : nil }
  func labels(identity: UInt32) -> [String] { identity == 300 ? ["k8s:app=a"] : [] }
  func owner(address: IPAddress) -> (namespace: String, pod: String)? { nil }
  func author(rule: UInt32) -> Flow.PolicyReference? {
    rule == 9 ? .init(kind: "CiliumNetworkPolicy", namespace: "default", name: "p", rule: "spec.ingressDeny[0]") : nil
  }
}

extension Names {
  func closing(identity: UInt32, _ direction: Flow.Direction) -> [Flow.PolicyReference] {
    guard identity == 301, direction == .ingress else { return [] }
    return [.init(kind: "CiliumNetworkPolicy", namespace: "default", name: "l7-rule", rule: "")]
  }

  func service(number: UInt32) -> Flow.Service? {
    number == 4 ? .init(namespace: "default", name: "web", port: 80) : nil
  }
}

private func wire(_ text: String) throws -> martlet_addr {
  let address = try #require(IPAddress(text))
  return martlet_addr(address)
}

private func drop(_ source: String, _ destination: String, rule: UInt32, reason: UInt8) throws -> Flow {
  Flow(
    try dropEvent(source, destination, rule: rule, reason: reason), bootTime: 1_000_000_000_000_000_000,
    resolver: Names(), nodeName: "n")
}

private func dropEvent(
  _ source: String, _ destination: String, rule: UInt32, reason: UInt8
) throws -> martlet_event {
  var event = martlet_event()
  event.time_ns = 5
  event.type = UInt8(MARTLET_EVENT_DROP.rawValue)
  event.reason = reason
  event.protocol = 6
  event.tcp_flags = 2
  event.source = try wire(source)
  event.destination = try wire(destination)
  event.source_port = UInt16(40312).bigEndian
  event.destination_port = UInt16(9080).bigEndian
  event.source_identity = 300
  event.destination_identity = 301
  event.source_endpoint = 7
  event.rule = rule
  return event
}

@Suite struct FlowsTests {
  @Test(arguments: [
    (
      "10.0.0.1", "10.0.0.2", UInt32(0), UInt8(133),
      "Sep  9 01:46:40.000: default/a:40312 (ID:300) -> 10.0.0.2:9080 (ID:301) ingress TCP SYN DROPPED "
        + "(POLICY_DENIED: no rule allows it; selected by CiliumNetworkPolicy default/l7-rule)"
    ),
    (
      "fd00::1", "fd00::2", UInt32(9), UInt8(181),
      "Sep  9 01:46:40.000: default/a:40312 (ID:300) -> [fd00::2]:9080 (ID:301) ingress TCP SYN DROPPED "
        + "(POLICY_DENY: CiliumNetworkPolicy default/p spec.ingressDeny[0])"
    ),
  ])
  func line(_ source: String, _ destination: String, _ rule: UInt32, _ reason: UInt8, _ expected: String) throws {
    #expect(try drop(source, destination, rule: rule, reason: reason).line == expected)
  }

  @Test func `what the proxy answers itself is an error, with its reason`() {
    var flow = Flow(
      time: 0, verdict: .error, direction: .ingress, source: Flow.Endpoint(address: IPAddress("10.0.0.1")!),
      destination: Flow.Endpoint(address: IPAddress("10.0.0.2")!), ipProtocol: 6)
    flow.http = Flow.HTTP(
      code: 400, method: "GET", url: "http:///", version: "HTTP/1.1", latency: 7000, failure: "there is no host field")
    #expect(flow.line.hasSuffix("http-response GET http:/// 400 7us ERROR (there is no host field)"))
    #expect(flow.json[path: "flow", "l7", "http", "failure"] == "there is no host field")
  }

  @Test func jsonHasHubblesShape() throws {
    let flow = try #require(try drop("10.0.0.1", "10.0.0.2", rule: 9, reason: 181).json["flow"])
    #expect(flow[path: "l4", "TCP", "flags", "SYN"] == true)
    #expect(flow[path: "IP", "ipVersion"] == "IPv4")
    #expect(flow[path: "source", "pod_name"] == "a")
    #expect(flow["drop_reason_desc"] == "POLICY_DENY")
    #expect(flow["ingress_denied_by"]?.arrayValue?.first?["name"] == "p")
    let closed = try #require(try drop("10.0.0.1", "10.0.0.2", rule: 0, reason: 133).json["flow"])
    #expect(closed["denied_by_default_of"]?.arrayValue?.first?["name"] == "l7-rule")
    #expect(closed["ingress_denied_by"] == nil && flow["denied_by_default_of"] == nil)
    #expect(flow["time"] == "2001-09-09T01:46:40.000000005Z")
  }

  /// Each event makes the same flow whatever came before it in its batch.
  @Test func aBatchMakesTheFlowsOfItsEvents() throws {
    var events: [martlet_event] = []
    let changes: [(inout martlet_event) -> Void] = [
      { _ in }, { $0.time_ns = 6 }, { $0.source_port = 1 }, { $0.destination_port = 2 }, { $0.rule = 0 },
      { $0.other_rule = 9 }, { $0.source_identity = 301 }, { $0.destination_identity = 300 },
      { $0.source_endpoint = 0 }, { $0.destination_endpoint = 7 }, { $0.reason = 133 }, { $0.tcp_flags = 1 },
      { $0.protocol = 17 }, { $0.protocol = 1 },
      {
        $0.protocol = 1
        $0.source_port = 0x0800
      },
      { $0.type = UInt8(MARTLET_EVENT_VERDICT.rawValue) }, { $0.verdict = UInt8(MARTLET_PROXY.rawValue) },
      { $0.direction = 1 }, { $0.flags = UInt8(MARTLET_EVENT_AUDIT.rawValue) },
      { $0.flags = UInt8(MARTLET_EVENT_REPLY.rawValue) }, { $0.source.hi = 1 }, { $0.source.lo = 1 },
      { $0.destination.hi = 1 }, { $0.destination.lo = 1 }, { $0.service = 4 },
    ]
    for change in changes {
      var event = try dropEvent("10.0.0.1", "10.0.0.2", rule: 9, reason: 181)
      change(&event)
      events.append(event)
    }
    var batch = FlowBatch(bootTime: 1, resolver: Names(), nodeName: "n")
    for event in events + events {
      #expect(batch.flow(event) == Flow(event, bootTime: 1, resolver: Names(), nodeName: "n"))
    }
  }

  /// The flow has both: the Service that the client asked for, and the backend that it got.
  @Test func theServiceOfAFlow() throws {
    var event = try dropEvent("10.0.0.1", "10.0.0.2", rule: 9, reason: 181)
    event.service = 4
    func flow() -> Flow { Flow(event, bootTime: 0, resolver: Names(), nodeName: "n") }
    #expect(flow().line.contains("10.0.0.2:9080 (ID:301) via default/web:80 ingress TCP SYN DROPPED"))
    let expected: JSONValue = ["name": "web", "namespace": "default"]
    #expect(flow().json[path: "flow", "destination_service"] == expected)
    for (text, expected) in [("web", true), ("default/w", true), ("/web", true), ("other/web", false), ("x", false)] {
      var filter = FlowFilter()
      filter.services = [text]
      #expect(filter.matches(flow()) == expected, "\(text)")
    }
    event.flags = UInt8(MARTLET_EVENT_REPLY.rawValue)
    #expect(flow().json[path: "flow", "source_service"] == expected)
    event.service = 5
    #expect(flow().service == nil && !flow().line.contains(" via "))
  }

  @Test func filters() throws {
    let flow = try drop("10.0.0.1", "10.0.0.2", rule: 0, reason: 133)
    func matches(_ change: (inout FlowFilter) -> Void) -> Bool {
      var filter = FlowFilter()
      change(&filter)
      return filter.matches(flow)
    }
    #expect(matches { _ in })
    #expect(matches { $0.verdicts = [.dropped] })
    #expect(!matches { $0.verdicts = [.forwarded] })
    #expect(matches { $0.pods = ["default/a"] })
    #expect(matches { $0.sourcePods = ["a"] })
    #expect(!matches { $0.destinationPods = ["default/a"] })
    #expect(!matches { $0.namespaces = ["other"] })
    #expect(matches { $0.ports = [1, 9080] })
    #expect(matches { $0.protocols = ["tcp"] })
    #expect(!matches { $0.protocols = ["http"] })
    #expect(!matches { $0.httpStatus = [HTTPStatusRange("5+")!] })
    #expect(!matches { $0.since = flow.time + 1 })
  }

  @Test(
    arguments: [
      ("404", 404, true), ("404", 403, false), ("5+", 503, true), ("5+", 499, false), ("500-599", 599, true),
      ("500-599", 600, false),
    ] as [(String, UInt32, Bool)])
  func statusRanges(_ text: String, _ code: UInt32, _ expected: Bool) throws {
    #expect(try #require(HTTPStatusRange(text)).contains(code) == expected)
  }

  @Test(arguments: ["", "40", "4-5", "6+", "599-500", "abc"])
  func refusesOtherStatus(_ text: String) { #expect(HTTPStatusRange(text) == nil) }

  @Test func ringKeepsTheNewestAndCountsWhatFollowersLost() async throws {
    let ring = FlowRing(capacity: 3, followerBuffer: 2)
    let stream = ring.follow()
    var flow = try drop("10.0.0.1", "10.0.0.2", rule: 0, reason: 133)
    for time in 1...5 as ClosedRange<UInt64> {
      flow.time = time
      ring.append([flow])
    }
    #expect(ring.flows().map(\.time) == [3, 4, 5])
    #expect(ring.flows(last: 1).map(\.time) == [5])
    #expect(ring.seen == 5)
    var iterator = stream.makeAsyncIterator()
    _ = await iterator.next()
    _ = await iterator.next()
    flow.time = 6
    ring.append([flow])
    guard case .lost(let count) = await iterator.next() else {
      Issue.record("expected a lost-events record")
      return
    }
    #expect(count == 3)
  }
}
