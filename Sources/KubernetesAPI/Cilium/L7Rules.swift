import JSON

/// `toPorts[].rules`: what the payload must be. At most one protocol is set.
public struct L7Rules: Hashable, Sendable {
  /// Alternatives; nil when the field is absent, which is not the same as an empty list.
  public let http: [HTTPMatch]?
  /// Alternatives; nil when the field is absent.
  public let dns: [FQDNSelector]?
  public let kafka: RawField?
  public let l7proto: RawField?
  public let l7: RawField?
  public let path: String

  public init(
    http: [HTTPMatch]? = nil, dns: [FQDNSelector]? = nil, kafka: RawField? = nil, l7proto: RawField? = nil,
    l7: RawField? = nil, path: String = ""
  ) {
    self.http = http
    self.dns = dns
    self.kafka = kafka
    self.l7proto = l7proto
    self.l7 = l7
    self.path = path
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["http", "dns", "kafka", "l7proto", "l7"])
    self.init(
      http: try cursor.list("http", HTTPMatch.init), dns: try cursor.list("dns", FQDNSelector.init),
      kafka: try cursor.member("kafka").map(RawField.init), l7proto: try cursor.member("l7proto").map(RawField.init),
      l7: try cursor.member("l7").map(RawField.init), path: cursor.path)
    guard l7 == nil || l7proto != nil else { throw cursor.error("l7 needs l7proto beside it") }
    let kinds = [http != nil, dns != nil, kafka != nil, l7proto != nil].count { $0 }
    guard kinds > 0 else { throw cursor.error("needs one of http, dns, kafka and l7proto") }
    guard kinds == 1 else { throw cursor.error("rules for more than one L7 protocol in one place") }
  }
}
