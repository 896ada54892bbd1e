/// Which part of a cluster's requests each priority gets, by how many of its endpoints serve: as Envoy has it, a priority takes
/// as much as it has healthy endpoints, times 1.4, and what is left over goes to the next one; degraded endpoints get what the
/// healthy ones of all priorities leave.
struct PriorityLoad: Hashable, Sendable {
  /// The endpoints of one priority.
  struct Level: Hashable, Sendable {
    var endpoints = 0
    var healthy = 0
    var degraded = 0
  }

  /// Which endpoints of a priority get a request.
  enum Source: Hashable, Sendable {
    case healthy
    case degraded
    /// Too few of them serve.
    case all
  }

  /// Of a hundred requests, those to the healthy endpoints of each priority; to all of them where it panics.
  private(set) var healthy: [Int]
  /// Of a hundred requests, those to its degraded endpoints.
  private(set) var degraded: [Int]
  /// Priorities whose requests go to all endpoints, whether they serve or not.
  private(set) var panics: [Bool]

  /// In percent.
  private static let overprovisioning = 140

  /// - Parameters:
  ///   - levels: From the first priority on; at least one.
  ///   - panicThreshold: In percent of a priority's endpoints.
  init(_ levels: [Level], panicThreshold: Int) {
    func availability(_ count: Int, of level: Level) -> Int {
      level.endpoints == 0 ? 0 : min(100, PriorityLoad.overprovisioning * count / level.endpoints)
    }
    let health = levels.map { availability($0.healthy, of: $0) }
    let degradation = levels.map { availability($0.degraded, of: $0) }
    let total = min(100, health.reduce(0, +) + degradation.reduce(0, +))
    healthy = levels.map { _ in 0 }
    degraded = healthy
    panics = levels.map { level in
      guard total < 100 else { return false }
      let serving = level.endpoints == 0 ? 0 : 100 * Double(level.healthy + level.degraded) / Double(level.endpoints)
      return serving < Double(panicThreshold)
    }
    if total > 0 { distribute(health, degradation, total) }
    if total == 0, panicThreshold == 0 {
      // Nobody gets it.
      healthy[0] = 100
      panics = levels.map { _ in false }
    } else if !panics.contains(false) {
      distributeInPanic(levels.map(\.endpoints))
    }
  }

  private mutating func distribute(_ health: [Int], _ degradation: [Int], _ total: Int) {
    var left = 100
    for (index, available) in health.enumerated() {
      healthy[index] = min(left, available * 100 / total)
      left -= healthy[index]
    }
    for (index, available) in degradation.enumerated() {
      degraded[index] = min(left, available * 100 / total)
      left -= degraded[index]
    }
    // What is lost by rounding.
    if let first = health.firstIndex(where: { $0 > 0 }) {
      healthy[first] += left
    } else if let first = degradation.firstIndex(where: { $0 > 0 }) {
      degraded[first] += left
    }
  }

  /// Where all priorities panic, each gets requests by the number of its endpoints.
  private mutating func distributeInPanic(_ counts: [Int]) {
    let sum = counts.reduce(0, +)
    degraded = counts.map { _ in 0 }
    healthy = counts.map { sum == 0 ? 0 : 100 * $0 / sum }
    healthy[counts.firstIndex { $0 > 0 } ?? 0] += 100 - healthy.reduce(0, +)
  }

  /// The priority of a request, and which of its endpoints get it.
  func choose(_ random: UInt64) -> (level: Int, source: Source) {
    var point = Int(random % 100) + 1
    for (index, part) in healthy.enumerated() {
      if point <= part { return (index, panics[index] ? .all : .healthy) }
      point -= part
    }
    for (index, part) in degraded.enumerated() {
      if point <= part { return (index, panics[index] ? .all : .degraded) }
      point -= part
    }
    return (0, .healthy)
  }
}
