import JSON

/// Finds the virtual host of an authority: its own name first, then the longest `*.example`, then the longest `example.*`,
/// then `*`.
struct DomainIndex: Sendable {
  private let exact: LiteralIndex
  private let exactHosts: [Int]
  private let suffixes: LiteralIndex
  private let suffixHosts: [Int]
  private let prefixes: LiteralIndex
  private let prefixHosts: [Int]
  private let fallback: Int?
  private let ignoresPort: Bool

  /// The virtual hosts by their places in `hosts`. A domain that two of them have is refused, as Envoy does.
  init(_ hosts: [VirtualHost], ignoresPort: Bool) throws(FieldError) {
    var exact: [String: Int] = [:]
    var suffixes: [String: Int] = [:]
    var prefixes: [String: Int] = [:]
    var fallback: Int?
    for (index, host) in hosts.enumerated() {
      for (place, domain) in host.domains.enumerated() {
        let name = domain.asciiLowercased
        let known: Int?
        if name == "*" {
          known = fallback
          fallback = index
        } else if name.utf8.first == UInt8(ascii: "*") {
          known = suffixes.updateValue(index, forKey: String(name.dropFirst()))
        } else if name.utf8.last == UInt8(ascii: "*") {
          known = prefixes.updateValue(index, forKey: String(name.dropLast()))
        } else {
          known = exact.updateValue(index, forKey: name)
        }
        guard known == nil else {
          throw FieldError(path: "\(host.path).domains[\(place)]", message: "\"\(domain)\" is a domain twice")
        }
      }
    }
    self.ignoresPort = ignoresPort
    self.fallback = fallback
    (self.exact, exactHosts) = DomainIndex.index(exact, isReversed: false)
    (self.suffixes, suffixHosts) = DomainIndex.index(suffixes, isReversed: true)
    (self.prefixes, prefixHosts) = DomainIndex.index(prefixes, isReversed: false)
  }

  private static func index(_ hosts: [String: Int], isReversed: Bool) -> (LiteralIndex, [Int]) {
    let index = LiteralIndex(hosts.keys, LiteralIndex.Folding(ignoresCase: true, isReversed: isReversed))
    var places = Array(repeating: 0, count: index.count)
    for (name, host) in hosts {
      if let place = index.index(of: name) { places[place] = host }
    }
    return (index, places)
  }

  /// The virtual host's place; nil where none is for that authority.
  func find(_ authority: UnsafeRawBufferPointer?) -> Int? {
    guard var host = authority else { return fallback }
    if ignoresPort { host = host.withoutPort }
    if let found = exact.index(of: host) { return exactHosts[found] }
    // What a wildcard stands for is not empty.
    if let found = DomainIndex.longest(suffixes, host) { return suffixHosts[found] }
    if let found = DomainIndex.longest(prefixes, host) { return prefixHosts[found] }
    return fallback
  }

  private static func longest(_ index: LiteralIndex, _ host: UnsafeRawBufferPointer) -> Int? {
    guard let found = index.longestPrefix(of: host) else { return nil }
    return index.length(found) < host.count ? found : index.parent(found)
  }
}

extension String {
  var asciiLowercased: String { String(decoding: utf8.map(\.asciiLowercased), as: UTF8.self) }
}

extension UnsafeRawBufferPointer {
  /// An authority without `:port`; colons within the brackets of an IPv6 address are none of a port.
  var withoutPort: UnsafeRawBufferPointer {
    var position = count
    while position > 0 {
      position -= 1
      switch self[position] {
      case UInt8(ascii: ":"): return UnsafeRawBufferPointer(rebasing: self[..<position])
      case UInt8(ascii: "]"): return self
      default: continue
      }
    }
    return self
  }

  /// A path without its query and fragment.
  var withoutQuery: UnsafeRawBufferPointer {
    guard let end = firstIndex(where: { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") }) else { return self }
    return UnsafeRawBufferPointer(rebasing: self[..<end])
  }

  /// The query without the question mark; nil where there is none.
  var query: UnsafeRawBufferPointer? {
    guard let mark = firstIndex(of: UInt8(ascii: "?")) else { return nil }
    return UnsafeRawBufferPointer(rebasing: self[(mark + 1)...])
  }
}
