/// Connections of HTTP/2 to servers, whose streams are those of all clients' requests that may use them: from the same
/// address to the same server under the same policy, as of `ParkedConnections`.
struct HTTP2Pool {
  private var connections: [ParkedConnections.Key: [ConnectionPointer]] = [:]

  /// Those that may be used for a key.
  func callAsFunction(_ key: ParkedConnections.Key) -> [ConnectionPointer] { connections[key] ?? [] }

  mutating func add(_ c: ConnectionPointer, _ key: ParkedConnections.Key) { connections[key, default: []].append(c) }

  /// No further request is to use it.
  mutating func remove(_ c: ConnectionPointer, _ key: ParkedConnections.Key) {
    connections[key]?.removeAll { $0 == c }
    if connections[key]?.isEmpty == true { connections[key] = nil }
  }
}
