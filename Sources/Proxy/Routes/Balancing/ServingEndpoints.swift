import Routing

/// Which endpoints of a cluster get its requests while their health is what it is: a group for each priority and source that
/// gets any. Immutable; when the health of an endpoint changes, another one takes its place.
struct ServingEndpoints: Sendable {
  /// As they were found, in the order of the cluster's endpoints.
  let health: [EndpointHealth.Verdict]
  private let load: PriorityLoad
  private let groups: [Key: EndpointGroup]
  /// What all requests go to, where it is one group.
  private let only: EndpointGroup?

  private struct Key: Hashable {
    let level: Int
    let source: PriorityLoad.Source
  }

  init(
    _ specification: ClusterSpecification, _ endpoints: [RoutedEndpoint], turns: Turns,
    reusing previous: ServingEndpoints?
  ) {
    let seats = specification.seats
    let health = zip(endpoints, seats).map { $0.health.verdict(status: $1.status) }
    let priorities = Set(seats.map(\.priority)).sorted()
    let levels = seats.map { priorities.firstIndex(of: $0.priority) ?? 0 }
    var counts = priorities.map { _ in PriorityLoad.Level() }
    for (level, verdict) in zip(levels, health) {
      counts[level].endpoints += 1
      if verdict == .healthy { counts[level].healthy += 1 }
      if verdict == .degraded { counts[level].degraded += 1 }
    }
    let load = PriorityLoad(counts.isEmpty ? [.init()] : counts, panicThreshold: Int(specification.panicThreshold))
    func group(_ key: Key) -> EndpointGroup? {
      let members = seats.indices.filter { index in
        guard levels[index] == key.level else { return false }
        return switch key.source {
        case .all: true
        case .healthy: health[index] == .healthy
        case .degraded: health[index] == .degraded
        }
      }
      guard !members.isEmpty else { return nil }
      let chosen = members.map { endpoints[$0] }
      let weights = members.map { seats[$0].weight }
      if let known = previous?.groups[key], known.consists(of: chosen, weights: weights) { return known }
      return EndpointGroup(chosen, weights: weights, specification.balancing, turns: turns)
    }
    var groups: [Key: EndpointGroup] = [:]
    for level in counts.indices {
      if load.healthy[level] > 0 {
        let key = Key(level: level, source: load.panics[level] ? .all : .healthy)
        groups[key] = group(key)
      }
      if load.degraded[level] > 0 {
        let key = Key(level: level, source: load.panics[level] ? .all : .degraded)
        groups[key] = group(key)
      }
    }
    self.health = health
    self.load = load
    self.groups = groups
    let isWhole = load.healthy.contains(100) || load.degraded.contains(100)
    only = isWhole ? groups.values.first : nil
  }

  /// Whether requests go to endpoints that do not serve, as too few do.
  var isPanicking: Bool { load.panics.contains(true) && groups.keys.contains { $0.source == .all } }

  /// The group that a request goes to; nil where there is none.
  func group(_ point: UInt64) -> EndpointGroup? {
    if let only { return only }
    let (level, source) = load.choose(point)
    return groups[Key(level: level, source: source)]
  }
}
