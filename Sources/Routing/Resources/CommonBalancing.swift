import JSON

/// `envoy.config.cluster.v3.Cluster.CommonLbConfig`: what all policies of balancing have in common.
public struct CommonBalancing: Hashable, Sendable {
  /// With fewer endpoints in a hundred that serve, requests go to all of them: to one that may not serve rather than to none,
  /// or than to a few that all of them are too many for. From 0, where that never is so, to 100.
  public let panicThreshold: UInt32

  static let fields = MessageFields(
    "envoy.config.cluster.v3.Cluster.CommonLbConfig", read: ["healthy_panic_threshold"],
    // Changes are in force at once, together with what was merged with them.
    withoutEffect: ["update_merge_window"],
    refused: [
      "zone_aware_lb_config", "locality_weighted_lb_config", "ignore_new_hosts_until_first_hc",
      "close_connections_on_host_set_change", "consistent_hashing_lb_config", "override_host_status",
    ])
  static let percentFields = MessageFields("envoy.type.v3.Percent", read: ["value"])

  public static let standard = CommonBalancing(panicThreshold: 50)

  init(panicThreshold: UInt32) { self.panicThreshold = panicThreshold }

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    panicThreshold =
      try message.map("healthy_panic_threshold") { (cursor) throws(FieldError) in
        guard let member = try Message(cursor, Self.percentFields).member("value") else { return 0 }
        let value: Double? =
          switch member.value {
          case .integer(let integer): Double(integer)
          case .number(let number): number
          default: nil
          }
        guard let value, (0...100).contains(value) else { throw member.error("must be a number from 0 to 100") }
        return UInt32(value.rounded())
      } ?? Self.standard.panicThreshold
  }
}
