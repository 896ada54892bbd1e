import Balancing
import ProxyRules

/// What a request's endpoint is chosen by, as the hash policies of its route have it.
public struct RequestHash: Hashable, Sendable {
  /// nil where no policy finds what it looks for.
  public var value: UInt64?
  /// For the response's Set-Cookie, where a cookie is made for the client; empty for none.
  public var cookie: [UInt8] = []
}

extension RouteAction {
  /// Hashes as Envoy does, so that both choose the same endpoint of a ring or a Maglev table.
  ///
  /// - Parameter random: What a new cookie is made of.
  public func hash(_ request: RequestView, random: UInt64) -> RequestHash {
    var result = RequestHash()
    for policy in hashPolicies {
      if let hash = policy.source.hash(request, random, &result.cookie) {
        // Rotated, so that two equal hashes do not cancel each other out.
        let before = result.value.map { $0 << 1 | $0 >> 63 } ?? 0
        result.value = before ^ hash
      }
      if policy.isTerminal, result.value != nil { break }
    }
    return result
  }
}

extension HashPolicy.Source {
  fileprivate func hash(_ request: RequestView, _ random: UInt64, _ cookie: inout [UInt8]) -> UInt64? {
    switch self {
    case .header(let name, let rewrite):
      var values: [[UInt8]] = []
      request.forEachValue(of: Array(name.utf8), isJoined: false) { values.append(Array($0)) }
      guard !values.isEmpty else { return nil }
      if let rewrite {
        values = values.map { value in value.withUnsafeBytes { rewrite.replacement.applied(to: $0) } }
      }
      // In whatever order the lines were sent.
      values.sort { $0.lexicographicallyPrecedes($1) }
      return values.reduce(0) { seed, value in value.withUnsafeBytes { XXHash64.hash($0, seed: seed) } }
    case .cookie(let name, let lifetime, let path, let attributes):
      if let known = HashPolicy.Source.cookie(name, request) { return XXHash64.hash(known) }
      guard let lifetime else { return nil }
      let value = String(random, radix: 16)
      var text = "\(name)=\"\(value)\""
      if lifetime > .zero { text += "; Max-Age=\(lifetime.components.seconds)" }
      if !path.isEmpty { text += "; Path=\(path)" }
      for attribute in attributes {
        text += attribute.value.isEmpty ? "; \(attribute.name)" : "; \(attribute.name)=\(attribute.value)"
      }
      cookie = Array("\(text); HttpOnly".utf8)
      return XXHash64.hash(value)
    case .sourceAddress:
      let address = request.connection.remoteAddress
      return address.isEmpty ? nil : XXHash64.hash(address)
    case .queryParameter(let name):
      return request.http.path.query.flatMap { QueryTest.value(of: Array(name.utf8), in: $0) }.map { XXHash64.hash($0) }
    }
  }

  /// The value of the first cookie of a name, without quotes around it; nil for none, or an empty one.
  private static func cookie(_ name: String, _ request: RequestView) -> String? {
    var found: String?
    request.forEachValue(of: Array("cookie".utf8), isJoined: false) { line in
      guard found == nil else { return }
      for part in line.split(separator: UInt8(ascii: ";")) {
        let pair = part.drop { $0 == 0x20 || $0 == 0x09 }
        guard let equal = pair.firstIndex(of: UInt8(ascii: "=")), pair[..<equal].elementsEqual(name.utf8) else {
          continue
        }
        var value = pair[(equal + 1)...]
        if value.count >= 2, value.first == UInt8(ascii: "\""), value.last == UInt8(ascii: "\"") {
          value = value.dropFirst().dropLast()
        }
        if !value.isEmpty { found = String(decoding: value, as: UTF8.self) }
        return
      }
    }
    return found
  }
}
