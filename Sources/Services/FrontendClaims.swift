/// Which Services ask for which frontends; one of them has it.
struct FrontendClaims: Sendable {
  private var holders: [FrontendKey: ServiceName] = [:]
  /// Of frontends that several ask for: all of them.
  private var contested: [FrontendKey: Set<ServiceName>] = [:]

  /// The others that ask for one of the frontends of `name`.
  func rivals(_ keys: some Sequence<FrontendKey>, of name: ServiceName) -> Set<ServiceName> {
    var found: Set<ServiceName> = []
    for key in keys {
      if let all = contested[key] { found.formUnion(all) }
      if let holder = holders[key] { found.insert(holder) }
    }
    found.remove(name)
    return found
  }

  mutating func add(_ name: ServiceName, _ keys: some Sequence<FrontendKey>) {
    for key in keys {
      guard let holder = holders[key] else {
        holders[key] = name
        continue
      }
      if holder != name { contested[key, default: [holder]].insert(name) }
    }
  }

  mutating func remove(_ name: ServiceName, _ keys: some Sequence<FrontendKey>) {
    for key in keys {
      if var all = contested[key] {
        all.remove(name)
        contested[key] = all.count > 1 ? all : nil
        holders[key] = all.first
      } else if holders[key] == name {
        holders[key] = nil
      }
    }
  }

  /// Everybody who asks for it.
  func claimants(_ key: FrontendKey) -> [ServiceName] {
    contested[key]?.sorted() ?? holders[key].map { [$0] } ?? []
  }

  /// Everybody who asks for it, where there are several.
  func contenders(_ key: FrontendKey) -> Set<ServiceName>? { contested[key] }
}
