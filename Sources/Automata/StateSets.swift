/// The sets of NFA states that have become DFA states, numbered as they appear.
struct StateSets {
  struct Key: Hashable {
    let items: [UInt32]
    let before: Neighbour
  }

  private let limits: DFALimits
  private var keys: [Key] = []
  private var indices: [Key: UInt32] = [:]
  private var entries = 0

  init(_ limits: DFALimits) { self.limits = limits }

  var count: Int { keys.count }

  subscript(index: Int) -> (items: [UInt32], before: Neighbour) { (keys[index].items, keys[index].before) }

  /// The number of the state with these items, sorted, behind `before`.
  mutating func index(of items: [UInt32], before: Neighbour) throws(DFALimits.Exceeded) -> UInt32 {
    let key = Key(items: items, before: before)
    if let known = indices[key] { return known }
    guard keys.count < limits.maximumStates else { throw .states(limits.maximumStates) }
    entries += items.count
    guard entries <= limits.maximumSetEntries else { throw .setEntries(limits.maximumSetEntries) }
    let index = UInt32(keys.count)
    keys.append(key)
    indices[key] = index
    return index
  }
}
