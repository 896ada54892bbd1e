import Addressing
import CMartletABI
import KernelABI

/// What the agent knows that turns numbers into names.
public protocol FlowResolver: Sendable {
  func endpoint(id: UInt32) -> (namespace: String, pod: String)?
  func labels(identity: UInt32) -> [String]
  /// Who owns an address that is not a pod's of this node.
  func owner(address: IPAddress) -> (namespace: String, pod: String)?
  /// The author of a verdict; nil for the reserved rules, which no object wrote.
  func author(rule: UInt32) -> Flow.PolicyReference?
  /// The policies by which a subject is denied, in a direction, what no rule allows; without rules.
  func closing(identity: UInt32, _ direction: Flow.Direction) -> [Flow.PolicyReference]
  /// What the kernel's number of a service means; nil when it means nothing (any more).
  func service(number: UInt32) -> Flow.Service?
}

extension Flow {
  /// A flow from an event of the kernel. `bootTime` is the time of CLOCK_MONOTONIC's zero in nanoseconds since the
  /// epoch.
  public init(_ event: martlet_event, bootTime: UInt64, resolver: some FlowResolver, nodeName: String) {
    func end(_ address: martlet_addr, identity: UInt32, endpoint: UInt32) -> Endpoint {
      var end = Endpoint(address: IPAddress(address))
      end.id = endpoint
      end.identity = identity
      end.labels = resolver.labels(identity: identity)
      if let owner = resolver.endpoint(id: endpoint) ?? resolver.owner(address: end.address) {
        (end.namespace, end.pod) = owner
      }
      return end
    }
    let verdict: Verdict =
      if event.flags & UInt8(MARTLET_EVENT_AUDIT.rawValue) != 0 {
        .audit
      } else if event.type == UInt8(MARTLET_EVENT_DROP.rawValue) {
        .dropped
      } else if event.verdict == UInt8(MARTLET_PROXY.rawValue) {
        .redirected
      } else {
        .forwarded
      }
    self.init(
      time: bootTime &+ event.time_ns, verdict: verdict,
      direction: event.direction == UInt8(MARTLET_EGRESS.rawValue) ? .egress : .ingress,
      source: end(event.source, identity: event.source_identity, endpoint: event.source_endpoint),
      destination: end(
        event.destination, identity: event.destination_identity, endpoint: event.destination_endpoint),
      ipProtocol: event.protocol)
    dropReason = event.reason
    tcpFlags = TransportProtocol(event.protocol) == .tcp ? event.tcp_flags : 0
    setOwn(of: event, bootTime: bootTime)
    isReply = event.flags & UInt8(MARTLET_EVENT_REPLY.rawValue) != 0
    service = event.service == 0 ? nil : resolver.service(number: event.service)
    self.nodeName = nodeName
    cite(event, resolver)
  }

  /// Sets what even events between the same ends differ in.
  mutating func setOwn(of event: martlet_event, bootTime: UInt64) {
    time = bootTime &+ event.time_ns
    let numbers = (UInt16(bigEndian: event.source_port), UInt16(bigEndian: event.destination_port))
    if TransportProtocol(event.protocol).isICMP {
      (icmpType, icmpCode) = (UInt8(truncatingIfNeeded: numbers.0), UInt8(truncatingIfNeeded: numbers.1))
    } else {
      (source.port, destination.port) = numbers
    }
  }

  private mutating func cite(_ event: martlet_event, _ resolver: some FlowResolver) {
    let rule = resolver.author(rule: event.rule).map { [$0] } ?? []
    let other = resolver.author(rule: event.other_rule).map { [$0] } ?? []
    switch (verdict == .dropped || verdict == .audit, direction) {
    case (true, .egress):
      egressDeniedBy = rule
      citeClosing(resolver)
    case (true, .ingress):
      (ingressDeniedBy, egressAllowedBy) = (rule, other)
      citeClosing(resolver)
    case (false, .egress): (egressAllowedBy, ingressAllowedBy) = (rule, other)
    case (false, .ingress): (ingressAllowedBy, egressAllowedBy) = (rule, other)
    }
  }

  /// Names the policies that close the subject's side, where no rule decided.
  public mutating func citeClosing(_ resolver: some FlowResolver) {
    guard dropReason == DropReason.policyDenied, verdict == .dropped || verdict == .audit else { return }
    let denied = direction == .egress ? egressDeniedBy : ingressDeniedBy
    guard denied.isEmpty else { return }
    let subject = direction == .egress ? source : destination
    deniedByDefaultOf = resolver.closing(identity: subject.identity, direction)
  }
}
