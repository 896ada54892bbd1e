/// What went wrong with a request, in the words of Envoy's `%RESPONSE_FLAGS%`.
public enum ResponseFlag: Int, Hashable, Sendable, CaseIterable {
  case noHealthyUpstream
  case upstreamConnectionFailure
  case upstreamOverflow
  case noRoute
  case upstreamRequestTimeout
  case upstreamConnectionTermination
  case upstreamRemoteReset
  case upstreamProtocolError
  case upstreamRetryLimitExceeded
  case noClusterFound
  case downstreamConnectionTermination
  case downstreamProtocolError
  case rateLimited
  case faultInjected
  case delayInjected
  case streamIdleTimeout

  public var short: StaticString {
    switch self {
    case .noHealthyUpstream: "UH"
    case .upstreamConnectionFailure: "UF"
    case .upstreamOverflow: "UO"
    case .noRoute: "NR"
    case .upstreamRequestTimeout: "UT"
    case .upstreamConnectionTermination: "UC"
    case .upstreamRemoteReset: "UR"
    case .upstreamProtocolError: "UPE"
    case .upstreamRetryLimitExceeded: "URX"
    case .noClusterFound: "NC"
    case .downstreamConnectionTermination: "DC"
    case .downstreamProtocolError: "DPE"
    case .rateLimited: "RL"
    case .faultInjected: "FI"
    case .delayInjected: "DI"
    case .streamIdleTimeout: "SI"
    }
  }

  public var long: StaticString {
    switch self {
    case .noHealthyUpstream: "NoHealthyUpstream"
    case .upstreamConnectionFailure: "UpstreamConnectionFailure"
    case .upstreamOverflow: "UpstreamOverflow"
    case .noRoute: "NoRouteFound"
    case .upstreamRequestTimeout: "UpstreamRequestTimeout"
    case .upstreamConnectionTermination: "UpstreamConnectionTermination"
    case .upstreamRemoteReset: "UpstreamRemoteReset"
    case .upstreamProtocolError: "UpstreamProtocolError"
    case .upstreamRetryLimitExceeded: "UpstreamRetryLimitExceeded"
    case .noClusterFound: "NoClusterFound"
    case .downstreamConnectionTermination: "DownstreamConnectionTermination"
    case .downstreamProtocolError: "DownstreamProtocolError"
    case .rateLimited: "RateLimited"
    case .faultInjected: "FaultInjected"
    case .delayInjected: "DelayInjected"
    case .streamIdleTimeout: "StreamIdleTimeout"
    }
  }

  /// Those of Envoy's that nothing here ever sets: filters may name them.
  static let others: Set<String> = [
    "LH", "LR", "UAEX", "RLSE", "IH", "UMSDR", "RFCF", "NFCF", "DT", "OM", "DF", "DO", "DR", "UDO",
  ]
}

/// A set of them.
public struct ResponseFlags: OptionSet, Hashable, Sendable {
  public let rawValue: UInt32

  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public init(_ flag: ResponseFlag) { rawValue = 1 << UInt32(flag.rawValue) }

  public static let all = ResponseFlags(rawValue: .max)
}
