import JSON

/// Spreads endpoints that share family and ports over slices and touches as few as possible: an endpoint stays where it
/// is, new ones go where something changes anyway, and slices that change are filled up from one another.
struct SlicePacking {
  /// The default of Kubernetes' controller.
  static let endpointsPerSlice = 100

  struct Draft {
    /// nil for a new one.
    let slice: JSONValue?
    /// How many endpoints the slice has now.
    let before: Int
    var endpoints: [JSONValue]
    var isChanged: Bool
    var isSuperfluous = false

    var room: Int { endpointsPerSlice - endpoints.count }

    init(slice: JSONValue? = nil, before: Int = 0, endpoints: [JSONValue], isChanged: Bool = true) {
      self.slice = slice
      self.before = before
      self.endpoints = endpoints
      self.isChanged = isChanged
    }
  }

  private(set) var drafts: [Draft] = []

  /// - Parameters:
  ///   - wanted: endpoints by `SliceWishes.key`; without any, one slice stays.
  ///   - labels: what every slice has.
  init(_ wanted: [String: JSONValue], into existing: [JSONValue], labels: JSONValue) {
    var rest = wanted
    for slice in existing {
      var isChanged = slice[path: "metadata", "labels"] != labels
      var endpoints: [JSONValue] = []
      let before = slice["endpoints"]?.arrayValue ?? []
      endpoints.reserveCapacity(before.count)
      for endpoint in before {
        guard let now = rest.removeValue(forKey: SliceWishes.key(endpoint)) else {
          isChanged = true
          continue
        }
        if now != endpoint { isChanged = true }
        endpoints.append(now)
      }
      drafts.append(Draft(slice: slice, before: before.count, endpoints: endpoints, isChanged: isChanged))
    }
    if wanted.isEmpty {
      keepOne()
    } else {
      add(rest.sorted { $0.key < $1.key }.map(\.value))
      merge()
      for index in drafts.indices where drafts[index].endpoints.isEmpty { drafts[index].isSuperfluous = true }
    }
  }

  private mutating func keepOne() {
    if drafts.isEmpty { drafts = [Draft(endpoints: [])] }
    for index in drafts.indices.dropFirst() { drafts[index].isSuperfluous = true }
  }

  /// New endpoints: into what changes, then into slices of their own, and the last few where they fit best.
  private mutating func add(_ endpoints: [JSONValue]) {
    var rest = endpoints[...]
    let fullestFirst = drafts.indices.filter { drafts[$0].isChanged }.sorted { drafts[$0].room < drafts[$1].room }
    for index in fullestFirst {
      let part = rest.prefix(max(0, drafts[index].room))
      drafts[index].endpoints += part
      rest = rest.dropFirst(part.count)
    }
    while rest.count >= SlicePacking.endpointsPerSlice {
      drafts.append(Draft(endpoints: Array(rest.prefix(SlicePacking.endpointsPerSlice))))
      rest = rest.dropFirst(SlicePacking.endpointsPerSlice)
    }
    guard !rest.isEmpty else { return }
    let fitting = drafts.indices.filter { drafts[$0].room >= rest.count }.min { drafts[$0].room < drafts[$1].room }
    if let fitting {
      drafts[fitting].endpoints += rest
      drafts[fitting].isChanged = true
    } else {
      drafts.append(Draft(endpoints: Array(rest)))
    }
  }

  /// Empties the smallest of the slices that change, as long as the others that do can take its endpoints.
  private mutating func merge() {
    var changing = drafts.indices.filter { drafts[$0].isChanged }.sorted { drafts[$0].room < drafts[$1].room }
    while let smallest = changing.popLast() {
      let room = changing.reduce(0) { $0 + max(0, drafts[$1].room) }
      guard room >= drafts[smallest].endpoints.count else { return }
      var rest = drafts[smallest].endpoints[...]
      drafts[smallest].endpoints = []
      for index in changing {
        let part = rest.prefix(max(0, drafts[index].room))
        drafts[index].endpoints += part
        rest = rest.dropFirst(part.count)
      }
    }
  }
}
