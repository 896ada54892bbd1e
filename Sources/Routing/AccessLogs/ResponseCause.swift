/// Where the answer to a routed request came from, or why there was none: what `%RESPONSE_CODE_DETAILS%` says.
public enum ResponseCause: Hashable, Sendable {
  /// Nobody has answered yet.
  case none
  case upstream
  case directResponse
  case routeNotFound
  case clusterNotFound
  case noEndpoint
  case overflow
  case connectFailure
  case reset
  case refusedStream
  case upstreamProtocolError
  case routeTimeout
  case attemptTimeout
  case requestTimeout
  case idleTimeout
  case upgradeRefused
  case accessDenied
  case faultAbort
  case rateLimit
  case preflight
  case tooLarge
  /// A policy does not allow the client the backend, or the request.
  case policyDenied
  case malformed
  /// The proxy could not, by a fault of its own or of the configuration.
  case unavailable

  /// Whether an attempt came to nothing before it had an endpoint.
  public var isAttempt: Bool { self == .noEndpoint || self == .overflow }

  public var details: StaticString {
    switch self {
    case .none: ""
    case .upstream: "via_upstream"
    case .directResponse: "direct_response"
    case .routeNotFound: "route_not_found"
    case .clusterNotFound: "cluster_not_found"
    case .noEndpoint: "no_healthy_upstream"
    case .overflow: "upstream_reset_before_response_started{overflow}"
    case .connectFailure: "upstream_reset_before_response_started{remote_connection_failure}"
    case .reset: "upstream_reset_before_response_started{connection_termination}"
    case .refusedStream: "upstream_reset_before_response_started{remote_refused_stream_reset}"
    case .upstreamProtocolError: "upstream_reset_before_response_started{protocol_error}"
    case .routeTimeout: "response_timeout"
    case .attemptTimeout: "upstream_per_try_timeout"
    case .requestTimeout: "request_overall_timeout"
    case .idleTimeout: "stream_idle_timeout"
    case .upgradeRefused: "upgrade_failed"
    case .accessDenied: "rbac_access_denied_matched_policy[none]"
    case .faultAbort: "fault_filter_abort"
    case .rateLimit: "local_rate_limited"
    case .preflight: "cors_response"
    case .tooLarge: "request_payload_too_large"
    case .policyDenied: "policy_denied"
    case .malformed: "http1.codec_error"
    case .unavailable: "proxy_unavailable"
    }
  }

  public var flags: ResponseFlags {
    switch self {
    case .routeNotFound: ResponseFlags(.noRoute)
    case .clusterNotFound: ResponseFlags(.noClusterFound)
    case .noEndpoint: ResponseFlags(.noHealthyUpstream)
    case .overflow: ResponseFlags(.upstreamOverflow)
    case .connectFailure: ResponseFlags(.upstreamConnectionFailure)
    case .reset: ResponseFlags(.upstreamConnectionTermination)
    case .refusedStream: ResponseFlags(.upstreamRemoteReset)
    case .upstreamProtocolError: ResponseFlags(.upstreamProtocolError)
    case .routeTimeout, .attemptTimeout: ResponseFlags(.upstreamRequestTimeout)
    case .idleTimeout: ResponseFlags(.streamIdleTimeout)
    case .faultAbort: ResponseFlags(.faultInjected)
    case .rateLimit: ResponseFlags(.rateLimited)
    case .malformed: ResponseFlags(.downstreamProtocolError)
    default: []
    }
  }
}

extension FilterPass {
  /// Why a filter has answered.
  public func cause(of answer: FilterAnswer) -> ResponseCause {
    switch chain.steps[answer.place].filter.kind {
    case .accessControl: .accessDenied
    case .fault: .faultAbort
    case .rateLimit: .rateLimit
    case .cors: .preflight
    case .buffer: .tooLarge
    case .headerMutation: .none
    }
  }
}

extension RetryRules.Failure {
  public var cause: ResponseCause {
    switch self {
    case .connect: .connectFailure
    case .reset, .resetBeforeRequest: .reset
    case .refused: .refusedStream
    case .timeout: .attemptTimeout
    }
  }
}
