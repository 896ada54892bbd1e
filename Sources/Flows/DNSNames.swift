/// Names of DNS response codes (IANA, "DNS RCODEs").
public enum DNSCode {
  /// `NXDOMAIN` for 3; `RCODE11` for one without a name here.
  public static func name(_ code: UInt32) -> String {
    let names = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"]
    return code < names.count ? names[Int(code)] : "RCODE\(code)"
  }
}

/// Names of record types (IANA, "Resource Record TYPEs").
public enum DNSRecordType {
  private static let names: [UInt16: String] = [
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV", 35: "NAPTR",
    41: "OPT", 43: "DS", 46: "RRSIG", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS", 251: "IXFR", 252: "AXFR", 255: "ANY",
    257: "CAA",
  ]

  /// `AAAA` for 28; `TYPE65280` for one without a name here (RFC 3597).
  public static func name(_ type: UInt16) -> String { names[type] ?? "TYPE\(type)" }
}
