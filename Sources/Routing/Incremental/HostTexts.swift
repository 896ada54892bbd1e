import JSON

/// The virtual hosts of a RouteConfiguration, and where they are written.
struct HostListText: Sendable {
  struct Host: Sendable {
    var range: Range<Int>
    let host: VirtualHost
    /// Of the routes.
    var routes: [Range<Int>]
  }

  var hosts: [Host]
  /// What `max_direct_response_body_size_bytes` was when they were decoded.
  let bodyLimit: UInt32

  func moved(by distance: Int) -> HostListText {
    var copy = self
    for index in copy.hosts.indices {
      copy.hosts[index].range = copy.hosts[index].range.moved(by: distance)
      copy.hosts[index].routes = copy.hosts[index].routes.map { $0.moved(by: distance) }
    }
    return copy
  }
}

/// Decodes the lists of virtual hosts that were left out of a resource, each from its own text or from what is known of it.
final class HostTexts {
  private let text: [UInt8]
  /// The texts that were left out, by the integers that stand in their places.
  private let parts: [Range<Int>]
  private let known: [HostListText]
  private let knownText: [UInt8]
  /// Those that were decoded, in their order.
  private(set) var lists: [HostListText] = []

  init(_ text: [UInt8], _ parts: [Range<Int>], reusing known: [HostListText], in knownText: [UInt8]) {
    self.text = text
    self.parts = parts
    self.known = known
    self.knownText = knownText
  }

  /// The virtual hosts for which `member` stands.
  func decode(_ member: JSONCursor, bodyLimit: UInt32) throws(FieldError) -> [VirtualHost] {
    let elements = try outline(member, parts)
    let before = lists.count < known.count ? known[lists.count] : nil
    let usable = before.flatMap { $0.bodyLimit == bodyLimit ? $0 : nil }
    let alignment = Alignment(text, elements, with: knownText, usable?.hosts.map(\.range) ?? [])
    var hosts: [HostListText.Host] = []
    for (index, range) in elements.enumerated() {
      let known = alignment[index].flatMap { usable?.hosts[$0] }
      if let known, alignment.isEqual(index) {
        let distance = range.lowerBound - known.range.lowerBound
        hosts.append(
          .init(
            range: range, host: known.host,
            routes: distance == 0 ? known.routes : known.routes.map { $0.moved(by: distance) }))
      } else {
        hosts.append(try host(range, "\(member.path)[\(index)]", bodyLimit, known))
      }
    }
    lists.append(HostListText(hosts: hosts, bodyLimit: bodyLimit))
    return hosts.map(\.host)
  }

  private func host(
    _ range: Range<Int>, _ path: String, _ bodyLimit: UInt32, _ known: HostListText.Host?
  ) throws(FieldError) -> HostListText.Host {
    let (cursor, parts) = try JSONCursor.leavingOut(["routes"], text[range], path: path)
    var ranges: [Range<Int>] = []
    let host = try VirtualHost(cursor, bodyLimit: bodyLimit) { (member) throws(FieldError) in
      ranges = try self.outline(member, parts)
      let alignment = Alignment(self.text, ranges, with: self.knownText, known?.routes ?? [])
      var routes: [Route] = []
      routes.reserveCapacity(ranges.count)
      for (index, range) in ranges.enumerated() {
        if let known, let place = alignment[index], alignment.isEqual(index) {
          routes.append(known.host.routes[place])
        } else {
          let cursor = try JSONCursor(self.text[range], path: "\(member.path)[\(index)]")
          routes.append(try Route(cursor, bodyLimit: bodyLimit))
        }
      }
      return routes
    }
    return HostListText.Host(range: range, host: host, routes: ranges)
  }

  /// The elements of the array that `member` stands for.
  private func outline(_ member: JSONCursor, _ parts: [Range<Int>]) throws(FieldError) -> [Range<Int>] {
    guard let index = Int(exactly: try member.integer()), parts.indices.contains(index) else {
      throw member.error("must be an array")
    }
    return try JSONCursor.elements(text, parts[index], path: member.path)
  }
}
