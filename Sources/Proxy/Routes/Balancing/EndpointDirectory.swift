import Synchronization

/// The endpoints of a cluster, for all listeners of an object that name it: whoever makes one with the same identity as
/// another gets that one, for as long as anybody has it.
final class EndpointDirectory: Sendable {
  private struct Entry {
    weak var endpoint: RoutedEndpoint?
  }

  let suspects: HealthSuspects?
  private let entries = Mutex<[RoutedEndpoint.Identity: Entry]>([:])

  init(suspects: HealthSuspects? = nil) { self.suspects = suspects }

  /// - Parameter known: Who goes before those of the directory.
  func endpoints(
    _ identities: [RoutedEndpoint.Identity], known: [RoutedEndpoint.Identity: RoutedEndpoint]
  ) -> [RoutedEndpoint] {
    entries.withLock { entries in
      let endpoints = identities.map { identity in
        if let known = known[identity] ?? entries[identity]?.endpoint { return known }
        let endpoint = RoutedEndpoint(identity, suspects: suspects)
        entries[identity] = Entry(endpoint: endpoint)
        return endpoint
      }
      if entries.count > 2 * endpoints.count { entries = entries.filter { $0.value.endpoint != nil } }
      return endpoints
    }
  }

  /// Whether any of them had a request.
  var hasTraffic: Bool { entries.withLock { $0.values.contains { $0.endpoint.map { $0.total > 0 } ?? false } } }
}
