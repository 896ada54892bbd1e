import Balancing
import ProxyRules

/// What of a request the choice of an endpoint depends on, as Envoy computes it.
public struct RequestHash: Hashable, Sendable {
  /// nil where no policy gave one: the endpoint is chosen at random.
  public var value: UInt64?
  /// The values of `set-cookie` headers that the answer gets: cookies that were missing, and made.
  public var cookies: [[UInt8]] = []

  init() {}

  fileprivate mutating func add(_ hash: UInt64) {
    // Rotated, so that two policies that say the same do not cancel each other out.
    value = (value.map { $0 << 1 | $0 >> 63 } ?? 0) ^ hash
  }
}

extension RouteAction {
  /// The hash of a request by ``hashPolicies``. The rules are Envoy's, and so are the numbers.
  public func hash(_ request: RequestView) -> RequestHash {
    var result = RequestHash()
    for policy in hashPolicies {
      switch policy.source {
      case .header(let name, let rewrite):
        if let hash = RouteAction.hash(request, header: name, rewrite) { result.add(hash) }
      case .cookie(let name, let lifetime, let path, let attributes):
        if let value = request.cookie(name), !value.isEmpty {
          result.add(value.withUnsafeBytes { XXHash64.hash($0) })
        } else if let lifetime {
          // The same for all requests of a connection that race for it.
          let ends = request.connection.remoteEnd + request.connection.localEnd
          let value = String(XXHash64.hash(ends), radix: 16)
          let padded = String(repeating: "0", count: 16 - value.count) + value
          result.add(XXHash64.hash(padded))
          result.cookies.append(RouteAction.setCookie(name, padded, lifetime, path, attributes))
        }
      case .sourceAddress:
        if !request.connection.remoteAddress.isEmpty {
          result.add(XXHash64.hash(request.connection.remoteAddress))
        }
      case .queryParameter(let name):
        if let value = request.http.path.query?.parameter(name.utf8) { result.add(XXHash64.hash(value)) }
      }
      if policy.isTerminal, result.value != nil { break }
    }
    return result
  }

  private static func hash(_ request: RequestView, header name: String, _ rewrite: RegexSubstitution?) -> UInt64? {
    var values: [[UInt8]] = []
    request.forEachValue(of: Array(name.utf8), isJoined: JoinedHeaders.names.contains(name)) { value in
      values.append(rewrite.map { $0.replacement.applied(to: value) } ?? Array(value))
    }
    guard !values.isEmpty else { return nil }
    // In whatever order they were sent.
    values.sort { $0.lexicographicallyPrecedes($1) }
    return values.reduce(0) { seed, value in value.withUnsafeBytes { XXHash64.hash($0, seed: seed) } }
  }

  private static func setCookie(
    _ name: String, _ value: String, _ lifetime: Duration, _ path: String, _ attributes: [HashPolicy.CookieAttribute]
  ) -> [UInt8] {
    var cookie = "\(name)=\"\(value)\""
    let seconds = lifetime.components.seconds
    if seconds != 0 { cookie += "; Max-Age=\(seconds)" }
    if !path.isEmpty { cookie += "; Path=\(path)" }
    for attribute in attributes {
      cookie += "; \(attribute.name)" + (attribute.value.isEmpty ? "" : "=\(attribute.value)")
    }
    return Array((cookie + "; HttpOnly").utf8)
  }
}

extension ConnectionFacts {
  fileprivate var remoteEnd: String { ConnectionFacts.end(remoteAddress, remotePort) }
  fileprivate var localEnd: String { ConnectionFacts.end(localAddress, localPort) }

  private static func end(_ address: String, _ port: UInt16) -> String {
    address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
  }
}

extension RequestView {
  /// The value of the first cookie of a name, without quotes around it.
  fileprivate func cookie(_ name: String) -> [UInt8]? {
    let name = Array(name.utf8)
    var found: [UInt8]?
    forEachValue(of: Array("cookie".utf8), isJoined: false) { line in
      for pair in line.split(separator: UInt8(ascii: ";")) where found == nil {
        let pair = pair.drop { $0 == 0x20 || $0 == 0x09 }
        guard let equal = pair.firstIndex(of: UInt8(ascii: "=")), pair[..<equal].elementsEqual(name) else { continue }
        var value = pair[(equal + 1)...]
        while let last = value.last, last == 0x20 || last == 0x09 { value = value.dropLast() }
        if value.count > 1, value.first == UInt8(ascii: "\""), value.last == UInt8(ascii: "\"") {
          value = value.dropFirst().dropLast()
        }
        found = Array(value)
      }
    }
    return found
  }
}

extension UnsafeRawBufferPointer {
  /// The value of the first parameter of that name in a query, as it was sent; empty for one without `=`.
  func parameter(_ name: some Collection<UInt8>) -> UnsafeRawBufferPointer? {
    var start = 0
    while start < count {
      let rest = self[start...]
      let end = rest.firstIndex(of: UInt8(ascii: "&")) ?? rest.endIndex
      let equal = self[start..<end].firstIndex(of: UInt8(ascii: "="))
      if self[start..<(equal ?? end)].elementsEqual(name) {
        return UnsafeRawBufferPointer(rebasing: self[Swift.min((equal ?? end) + 1, end)..<end])
      }
      start = end + 1
    }
    return nil
  }
}
