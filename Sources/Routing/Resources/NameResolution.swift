import JSON

/// The fields of a Cluster that say how its names are resolved.
public struct NameResolution: Hashable, Sendable {
  public enum Family: Hashable, Sendable {
    /// Clients keep their addresses, so each is led to an address of its own family.
    case any
    case ipv4
    case ipv6
  }

  public let family: Family
  public let refreshRate: Duration
  /// Added to it, at most.
  public let jitter: Duration
  /// nil: as after a success.
  public let failureRate: FailureRate?

  /// How long to wait after a failure: up to `base` at first, up to twice as long with each further one.
  public struct FailureRate: Hashable, Sendable {
    public let base: Duration
    public let maximum: Duration
  }

  static let refreshFields = MessageFields(
    "envoy.config.cluster.v3.Cluster.RefreshRate", read: ["base_interval", "max_interval"])

  /// - Parameter message: The Cluster.
  init(_ message: Message, _ discovery: Cluster.Discovery) throws(FieldError) {
    let names = ["dns_refresh_rate", "dns_failure_refresh_rate", "dns_jitter", "dns_lookup_family"]
    for name in names {
      guard let member = message.member(name), !discovery.resolvesNames else { continue }
      throw member.error("is only for clusters of type STRICT_DNS and LOGICAL_DNS")
    }
    refreshRate = try message.positiveDuration("dns_refresh_rate") ?? .seconds(5)
    guard refreshRate >= .milliseconds(1) else {
      throw try message.required("dns_refresh_rate").error("must be at least 0.001s")
    }
    jitter = try message.member("dns_jitter")?.protobufTimeout() ?? .zero
    let families = ["AUTO", "V4_ONLY", "V6_ONLY", "V4_PREFERRED", "ALL"]
    switch try message.member("dns_lookup_family")?.protobufEnum(families) {
    case "V4_ONLY": family = .ipv4
    case "V6_ONLY": family = .ipv6
    default: family = .any
    }
    failureRate = try message.map("dns_failure_refresh_rate", NameResolution.failureRate)
  }

  private static func failureRate(_ cursor: JSONCursor) throws(FieldError) -> FailureRate {
    let rate = try Message(cursor, refreshFields)
    guard let base = try rate.positiveDuration("base_interval"), base >= .milliseconds(1) else {
      throw try rate.required("base_interval").error("must be at least 0.001s")
    }
    let maximum = try rate.positiveDuration("max_interval") ?? base * 10
    guard maximum >= base else { throw cursor.error("max_interval is less than base_interval") }
    return FailureRate(base: base, maximum: maximum)
  }
}
