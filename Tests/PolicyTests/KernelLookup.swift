import Addressing
import Identity
import Policy

/// What becomes of the first packet of a connection.
enum Outcome: Hashable, CustomStringConvertible {
  case allow
  /// By a deny rule.
  case deny
  /// No rule allows it.
  case drop
  /// To the proxy; the methods that its rules name, which is all that these tests tell them apart by.
  case http(Set<String>)
  /// To the proxy; the names that may be asked for.
  case dns(Set<String>)
  /// To the proxy; the names that TLS clients may ask for.
  case tls(Set<String>)

  var description: String {
    switch self {
    case .allow: "allow"
    case .deny: "deny"
    case .drop: "drop"
    case .dns(let names): "dns(\(names.sorted().joined(separator: " ")))"
    case .tls(let names): "tls(\(names.sorted().joined(separator: " ")))"
    case .http(let methods): "http(\(methods.sorted().joined(separator: " ")))"
    }
  }
}

/// The lookup of the kernel, slowly: longest prefix for the peer, its class and peer 0, then combined as martlet_abi.h says.
struct KernelLookup {
  let compiled: CompiledPolicy

  func entry(
    _ map: PolicyMapState, _ peer: NumericIdentity, _ direction: Direction, _ number: UInt8, _ port: UInt16
  ) -> PolicyEntry? {
    for length in stride(from: 64, through: 48, by: -1) {
      let mask = UInt16(truncatingIfNeeded: 0xFFFF << (64 - length))
      let key = PolicyKey(
        peer: peer, direction: direction, protocol: number, port: port & mask, prefixLength: UInt8(length))
      if let entry = map[key] { return entry }
    }
    return map[PolicyKey(peer: peer, direction: direction, prefixLength: 40)]
  }

  func decide(
    _ subject: NumericIdentity, _ peer: NumericIdentity, _ direction: Direction, _ number: UInt8, _ port: UInt16
  ) -> (outcome: Outcome, rule: UInt32) {
    guard let map = compiled.maps[subject] else { return (.drop, 0) }
    let found = [peer, PeerClass(of: peer)?.peer, .any].compactMap { $0 }.compactMap {
      entry(map, $0, direction, number, port)
    }
    if let denied = found.first(where: { $0.verdict == .deny }) { return (.deny, denied.rule) }
    if let allowed = found.first(where: { $0.verdict == .allow }) { return (.allow, allowed.rule) }
    guard let proxied = found.first else { return (.drop, 0) }
    switch compiled.ruleSets.first(where: { $0.id == proxied.proxyRules })?.rules {
    case .dns(let rules): return (.dns(Set(rules.map(\.pattern.text))), proxied.rule)
    case .tls(let rules): return (.tls(Set(rules.map(\.pattern.text))), proxied.rule)
    case .http(let rules): return (.http(Set(rules.map { $0.method ?? "*" })), proxied.rule)
    case nil: return (.http([]), proxied.rule)
    }
  }

  /// The identity of an address outside of the cluster, by the longest prefix of the ipcache.
  func identity(_ address: IPAddress) -> NumericIdentity {
    compiled.ipcache.filter { $0.key.contains(address) }.max { $0.key.mappedLength < $1.key.mappedLength }?.value
      ?? ReservedIdentity.world.identity
  }
}
