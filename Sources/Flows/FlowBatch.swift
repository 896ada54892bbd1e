import CMartletABI

/// Makes the flows of one batch of events. Names are looked up once for each pair of ends and verdict, not for each event:
/// most events of a batch differ in time and port only, and names do not change within one.
public struct FlowBatch<Resolver: FlowResolver> {
  /// What decides about everything of a flow but its time and ports.
  private struct Key: Hashable {
    var addresses: (UInt64, UInt64, UInt64, UInt64)
    var identities: UInt64
    var endpoints: UInt64
    var rules: UInt64
    var kind: UInt64
    var service: UInt32

    init(_ event: martlet_event) {
      func pair(_ high: UInt32, _ low: UInt32) -> UInt64 { UInt64(high) << 32 | UInt64(low) }
      addresses = (event.source.hi, event.source.lo, event.destination.hi, event.destination.lo)
      identities = pair(event.source_identity, event.destination_identity)
      endpoints = pair(event.source_endpoint, event.destination_endpoint)
      rules = pair(event.rule, event.other_rule)
      service = event.service
      let verdict = UInt64(event.type) << 24 | UInt64(event.verdict) << 16 | UInt64(event.reason) << 8
      kind = verdict | UInt64(event.direction)
      kind = kind << 24 | UInt64(event.protocol) << 16 | UInt64(event.tcp_flags) << 8 | UInt64(event.flags)
    }

    static func == (one: Key, other: Key) -> Bool {
      one.addresses == other.addresses && one.identities == other.identities && one.endpoints == other.endpoints
        && one.rules == other.rules && one.kind == other.kind && one.service == other.service
    }

    func hash(into hasher: inout Hasher) {
      hasher.combine(addresses.1)
      hasher.combine(addresses.3)
      hasher.combine(identities)
      hasher.combine(kind)
    }
  }

  private let bootTime: UInt64
  private let resolver: Resolver
  private let nodeName: String
  private var known: [Key: Flow] = [:]

  /// - Parameter bootTime: the time of CLOCK_MONOTONIC's zero in nanoseconds since the epoch.
  public init(bootTime: UInt64, resolver: Resolver, nodeName: String) {
    self.bootTime = bootTime
    self.resolver = resolver
    self.nodeName = nodeName
  }

  public mutating func flow(_ event: martlet_event) -> Flow {
    let key = Key(event)
    if var flow = known[key] {
      flow.setOwn(of: event, bootTime: bootTime)
      return flow
    }
    let flow = Flow(event, bootTime: bootTime, resolver: resolver, nodeName: nodeName)
    known[key] = flow
    return flow
  }
}
