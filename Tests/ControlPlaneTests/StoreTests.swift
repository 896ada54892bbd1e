import JSON
import Labels
import TestSupport
import Testing

@testable import ControlPlane

@Suite struct StoreTests {
  func key(_ name: String, namespace: String = "n") -> ObjectKey {
    ObjectKey(resource: "things", namespace: namespace, name: name)
  }

  func object(_ name: String, labels: JSONValue = [:], color: String = "red") -> JSONValue {
    ["metadata": ["name": .string(name), "labels": labels], "spec": ["color": .string(color)]]
  }

  func makeStore(_ path: String? = nil, historyLimit: Int = 100) throws -> Store {
    try Store(path: path, historyLimit: historyLimit) { _ in [["spec", "color"]] }
  }

  @Test(.timeLimit(.minutes(1))) func `watches that are cancelled while others write do not stop the store`()
    async throws
  {
    let store = try makeStore()
    for round in 0..<150 {
      let version = try put(store, "first")
      let events = try store.watch("things", ObjectFilter(), after: version, bookmarks: false, timeout: .seconds(60))
      let reader = Task { for await _ in events {} }
      let writer = Task.detached { for step in 0..<12 { _ = try? self.put(store, "\(round % 7)-\(step)") } }
      await Task.yield()
      reader.cancel()
      await writer.value
      await reader.value
    }
  }

  @discardableResult
  func put(_ store: Store, _ name: String, labels: JSONValue = [:], color: String = "red") throws -> UInt64 {
    try store.write {
      $0.put(key(name), object(name, labels: labels, color: color), selectable: [["spec", "color"]]).resourceVersion
    }
  }

  @Test func restartKeepsEverything() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path + "/db"
    var version: UInt64 = 0
    do {
      let store = try makeStore(path)
      for index in 0..<50 { try put(store, "o\(index)", labels: ["i": .string("\(index)")]) }
      try store.write { $0.delete(key("o7"), lastState: object("o7"), selectable: []) }
      version = store.resourceVersion
    }
    let store = try makeStore(path)
    #expect(store.resourceVersion == version)
    #expect(store.list("things", ObjectFilter()).objects.count == 49)
    #expect(store.object(key("o7")) == nil)
    #expect(store.object(key("o8"))?.labels == ["i": "8"])
    #expect(store.object(key("o8"))?.fields == ["spec.color": "red"])
    #expect(try put(store, "new") == version + 1)
    // What happened before the start is no longer known.
    #expect(throws: APIStatus.self) {
      try store.watch("things", ObjectFilter(), after: version - 1, bookmarks: false, timeout: .seconds(1))
    }
  }

  @Test func aFailedWriteLeavesNothing() throws {
    struct Stop: Error {}
    let store = try makeStore()
    try put(store, "a")
    let version = store.resourceVersion
    #expect(throws: Stop.self) {
      try store.write { transaction in
        transaction.put(key("b"), object("b"), selectable: [])
        throw Stop()
      }
    }
    #expect(store.resourceVersion == version)
    #expect(store.object(key("b")) == nil)
  }

  @Test func pagesAreOrderedAndComplete() throws {
    let store = try makeStore()
    for index in (0..<25).shuffled() { try put(store, "o\(index + 10)") }
    var names: [String] = []
    var after: ObjectKey?
    repeat {
      let page = store.list("things", ObjectFilter(), limit: 10, after: after)
      #expect(page.remaining == (page.next == nil ? nil : 25 - names.count - 10))
      names += page.objects.map(\.key.name)
      after = page.next
    } while after != nil
    #expect(names == (0..<25).map { "o\($0 + 10)" })
  }

  @Test func whatRemainsIsCountedWithinANamespaceAndNotBehindASelector() throws {
    let store = try makeStore()
    for namespace in ["a", "b", "c"] {
      for index in 0..<4 {
        let key = ObjectKey(resource: "things", namespace: namespace, name: "o\(index)")
        _ = try store.write { $0.put(key, object(key.name), selectable: []).resourceVersion }
      }
    }
    func remaining(_ filter: ObjectFilter) -> Int? { store.list("things", filter, limit: 3).remaining }
    #expect(remaining(ObjectFilter()) == 9)
    for namespace in ["a", "b", "c"] { #expect(remaining(ObjectFilter(namespace: namespace)) == 1) }
    #expect(remaining(ObjectFilter(labels: try LabelSelector(parsing: "!x"))) == nil)
  }

  @Test func selectorsUseLabelsAndFields() throws {
    let store = try makeStore()
    try put(store, "a", labels: ["x": "1"])
    try put(store, "b", labels: ["x": "2"], color: "blue")
    func names(_ filter: ObjectFilter) -> [String] { store.list("things", filter).objects.map(\.key.name) }
    #expect(names(ObjectFilter(labels: try LabelSelector(parsing: "x in (2,3)"))) == ["b"])
    let offered: Set = ["spec.color"]
    #expect(names(ObjectFilter(fields: try ObjectFilter.parseFields("spec.color=blue", offered: offered))) == ["b"])
    #expect(names(ObjectFilter(fields: try ObjectFilter.parseFields("spec.color!=blue", offered: offered))) == ["a"])
    #expect(names(ObjectFilter(fields: try ObjectFilter.parseFields("metadata.name=a", offered: []))) == ["a"])
    #expect(throws: APIStatus.self) { try ObjectFilter.parseFields("spec.size=1", offered: offered) }
  }

  func describe(_ events: AsyncStream<WatchEvent>, _ store: Store) async -> [String] {
    store.endWatches()
    var list: [String] = []
    for await event in events {
      switch event {
      case .change(let kind, let object): list.append("\(kind) \(object.key.name)")
      case .bookmark(let version): list.append("bookmark \(version)")
      }
    }
    return list
  }

  @Test func watchesResume() async throws {
    let store = try makeStore()
    let first = try put(store, "a")
    try put(store, "b")
    try store.write { $0.delete(key("a"), lastState: object("a"), selectable: []) }
    let events = try store.watch("things", ObjectFilter(), after: first, bookmarks: true, timeout: .seconds(60))
    try put(store, "c")
    store.tick()
    let version = store.resourceVersion
    #expect(await describe(events, store) == ["added b", "deleted a", "added c", "bookmark \(version)"])
  }

  @Test func watchesSeeObjectsComeAndGoBySelector() async throws {
    let store = try makeStore()
    let filter = ObjectFilter(labels: try LabelSelector(parsing: "x=1"))
    let events = store.watchFromNow("things", filter, bookmarks: false, timeout: .seconds(60)).events
    try put(store, "a")
    try put(store, "a", labels: ["x": "1"])
    try put(store, "a", labels: ["x": "1", "y": "2"])
    try put(store, "a", labels: ["x": "2"])
    #expect(await describe(events, store) == ["added a", "modified a", "deleted a"])
  }

  @Test func oldVersionsAreGone() throws {
    let store = try makeStore(historyLimit: 10)
    let first = try put(store, "a")
    for index in 0..<40 { try put(store, "o\(index)") }
    let error = #expect(throws: APIStatus.self) {
      try store.watch("things", ObjectFilter(), after: first, bookmarks: false, timeout: .seconds(1))
    }
    #expect(error?.code == 410 && error?.reason == "Expired")
  }

  /// However few they are, many versions of a large object do not fill the memory.
  @Test func largeOldVersionsAreGone() throws {
    let store = try Store(path: nil, historyBytes: 100_000) { _ in [] }
    let large = String(repeating: "x", count: 20_000)
    let versions = try (0..<20).map { try put(store, "a", labels: ["x": .string("\($0)\(large)")]) }
    func watch(_ version: UInt64) throws {
      _ = try store.watch("things", ObjectFilter(), after: version, bookmarks: false, timeout: .seconds(1))
    }
    #expect(throws: APIStatus.self) { try watch(versions[10]) }
    try watch(versions[17])
  }

  @Test func watchesEndInTime() async throws {
    let store = try makeStore()
    let events = store.watchFromNow("things", ObjectFilter(), bookmarks: false, timeout: .milliseconds(1)).events
    try await Task.sleep(for: .milliseconds(5))
    store.tick()
    for await _ in events { Issue.record("unexpected event") }
  }

  @Test func tenThousandObjects() throws {
    let store = try makeStore(historyLimit: 10_000)
    try store.write { transaction in
      for index in 0..<10_000 {
        transaction.put(key("o\(index)"), object("o\(index)", labels: ["i": .string("\(index % 10)")]), selectable: [])
      }
    }
    let selected = store.list("things", ObjectFilter(labels: try LabelSelector(parsing: "i=3"))).objects
    #expect(selected.count == 1000)
  }
}
