import Addressing
import KubernetesAPI

extension Report {
  /// Blocks of addresses: exceptions that leave nothing, bits that say nothing.
  mutating func checkBlocks(_ index: Int) {
    for rule in objects[index].rules.flatMap(\.trafficRules) {
      for peer in rule.cidr ?? [] { checkHostBits(peer.cidr, index, peer.path) }
      for set in rule.cidrSet ?? [] {
        guard case .cidr(let cidr) = set.source else { continue }
        checkBlock(cidr, except: set.except, index, set.path)
      }
    }
    guard let policy = objects[index].networkPolicy else { return }
    for peer in (policy.ingress + policy.egress).flatMap(\.peers) {
      guard case .block(let cidr, let except) = peer.peer else { continue }
      checkBlock(cidr, except: except, index, "\(peer.path).ipBlock")
    }
  }

  private mutating func checkBlock(_ cidr: CIDR, except: [CIDRPeer], _ index: Int, _ path: String) {
    checkHostBits(cidr, index, "\(path).cidr")
    for hole in except { checkHostBits(hole.cidr, index, hole.path) }
    if cidr.isCovered(by: except.map(\.cidr)) {
      warn(.neverMatches, index, path, "nothing is left of \(cidr) without its exceptions")
    }
  }

  private mutating func checkHostBits(_ cidr: CIDR, _ index: Int, _ path: String) {
    guard let text = objects[index].written(path)?.stringValue, let slash = text.firstIndex(of: "/"),
      let address = IPAddress(text[..<slash]), address != cidr.address
    else { return }
    warn(.misleading, index, path, "\(text) is the block \(cidr): the bits beyond the length mean nothing")
  }
}

extension CIDR {
  /// Whether every address of this block is in one of the others.
  func isCovered(by others: [CIDR]) -> Bool {
    let inside = others.filter { contains($0) || $0.contains(self) }.filter { $0.isIPv4 == isIPv4 }
    if inside.contains(where: { $0.contains(self) }) { return true }
    guard !inside.isEmpty else { return false }
    return halves.allSatisfy { $0.isCovered(by: inside) }
  }

  private var halves: [CIDR] {
    let bit = 127 - mappedLength
    let upper =
      bit >= 64
      ? IPAddress(high: address.high | 1 << UInt64(bit - 64), low: address.low)
      : IPAddress(high: address.high, low: address.low | 1 << UInt64(bit))
    return [CIDR(address, length: length + 1), CIDR(upper, length: length + 1)].compactMap { $0 }
  }
}
