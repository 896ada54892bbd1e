import CMartletABI

/// What a program answers to a test run that only asks: the words that it leaves in `cb` ("traces" in martlet_abi.h).
public struct TraceAnswer: Hashable, Sendable {
  /// `enum martlet_verdict`; 0 when the program decided nothing.
  public let verdict: UInt8
  /// Hubble's drop reason; 0 when the packet was not dropped.
  public let dropReason: UInt8
  /// `enum martlet_direction`: the side that denied, or that sends to the proxy.
  public let direction: UInt8
  public let egressRule: UInt32
  public let ingressRule: UInt32
  /// As in `martlet_ct_entry`, when the verdict is MARTLET_PROXY.
  public let proxyRules: UInt32
  public let egressProxyRules: UInt32
  /// Bit d: direction d would have dropped it, but its end is in audit mode.
  public let audited: UInt8
  /// What `proxyRules` refuse is only reported.
  public let isAudit: Bool
  /// As `isAudit`, of `egressProxyRules`.
  public let isEgressAudit: Bool

  /// - Parameter words: `cb` of the context as the program left it, five words.
  public init(_ words: [UInt32]) {
    func word(_ index: Int32) -> UInt32 { Int(index) < words.count ? words[Int(index)] : 0 }
    let decision = word(MARTLET_TRACE_CB_VERDICT)
    func field(_ shift: Int32) -> UInt8 { UInt8(truncatingIfNeeded: decision >> UInt32(shift)) }
    verdict = field(0)
    direction = field(MARTLET_TRACE_DIRECTION_SHIFT)
    dropReason = field(MARTLET_TRACE_REASON_SHIFT)
    audited = field(MARTLET_TRACE_AUDITED_SHIFT) & 3
    isAudit = field(MARTLET_TRACE_PROXY_AUDIT_SHIFT) & 1 != 0
    isEgressAudit = field(MARTLET_TRACE_PROXY_AUDIT_EGRESS_SHIFT) & 1 != 0
    proxyRules = word(MARTLET_TRACE_CB_PROXY_RULES)
    egressProxyRules = word(MARTLET_TRACE_CB_EGRESS_PROXY_RULES)
    egressRule = word(MARTLET_TRACE_CB_EGRESS_RULE)
    ingressRule = word(MARTLET_TRACE_CB_INGRESS_RULE)
  }
}
