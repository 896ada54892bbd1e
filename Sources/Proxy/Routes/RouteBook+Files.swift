public import Files
import JSON

extension RouteBook {
  /// What an instance's files say now, for who only looks. Throws where they can not be read, or the endpoints not be used.
  public init(_ files: ProxyFiles) throws {
    self.init()
    try setEndpoints(try StateFiles.readIfPresent(files.endpoints))
    for number in try StateFiles.list(files.listeners).compactMap(RouteBook.number) {
      setListener(number, try StateFiles.readIfPresent(files.listener(number)))
    }
  }
}

extension ListeningAnswer {
  /// What the proxy of an instance said last; nil where it has said nothing yet.
  public init?(_ files: ProxyFiles) throws {
    guard let content = try StateFiles.readIfPresent(files.listening) else { return nil }
    try self.init(JSONCursor(JSONValue(parsing: content)))
  }
}

extension RoutedListener {
  /// Sorted by their names.
  public var allClusters: [RoutedCluster] { clusters.values.sorted { $0.name < $1.name } }
}

extension RoutedCluster {
  /// How an endpoint is chosen, in the words of Envoy's `lb_policy`.
  public var balancing: String {
    switch specification.balancing {
    case .roundRobin: "ROUND_ROBIN"
    case .leastRequest: "LEAST_REQUEST"
    case .random: "RANDOM"
    case .ringHash: "RING_HASH"
    case .maglev: "MAGLEV"
    }
  }

  /// The weights of ``endpoints``.
  public var weights: [UInt32] { specification.seats.map(\.weight) }
}
