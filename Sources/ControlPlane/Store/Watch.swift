import JSON

/// What a watcher is told.
enum WatchEvent: Sendable {
  case change(StoreChange.Kind, StoredObject)
  /// Everything up to this version was told.
  case bookmark(UInt64)
}

/// One open watch. Its buffer is bounded: a reader that falls behind by more than that is cut off, and resumes from the
/// last version it saw.
struct Watcher {
  static let bufferSize = 8192

  let resource: String
  let filter: ObjectFilter
  let wantsBookmarks: Bool
  let deadline: ContinuousClock.Instant
  let continuation: AsyncStream<WatchEvent>.Continuation
}

/// A page of a list, and the version it is true at.
struct ListPage: Sendable {
  let objects: [StoredObject]
  let resourceVersion: UInt64
  /// Where the next page starts; nil at the end.
  let next: ObjectKey?
  /// How many matching objects come after this page, when that is known.
  let remaining: Int?
}

extension Store {
  func list(
    _ resource: String, _ filter: ObjectFilter, limit: Int? = nil, after: ObjectKey? = nil
  ) -> ListPage {
    state.withLock { $0.list(resource, filter, limit: limit, after: after) }
  }

  /// A watch that starts after `version`. Throws 410 when the events since then are no longer kept.
  func watch(
    _ resource: String, _ filter: ObjectFilter, after version: UInt64, bookmarks: Bool, timeout: Duration
  ) throws(APIStatus) -> AsyncStream<WatchEvent> {
    let result: Result<AsyncStream<WatchEvent>, APIStatus> = state.withLock { state in
      guard version >= state.oldestVersion else {
        return .failure(.tooOld(version, oldest: state.oldestVersion))
      }
      return .success(
        open(&state, resource, filter, bookmarks: bookmarks, timeout: timeout) { state, continuation in
          let start = state.history.partitioningIndex { $0.object.resourceVersion > version }
          for change in state.history[start...] where change.object.key.resource == resource {
            if let event = StoreState.event(change, for: filter) { continuation.yield(event) }
          }
        })
    }
    return try result.get()
  }

  /// A watch that first tells what exists. `end` makes it say with a bookmark where that part ends.
  func watchFromNow(
    _ resource: String, _ filter: ObjectFilter, bookmarks: Bool, timeout: Duration
  ) -> (existing: ListPage, events: AsyncStream<WatchEvent>) {
    state.withLock { state in
      let page = state.list(resource, filter, limit: nil, after: nil)
      return (page, open(&state, resource, filter, bookmarks: bookmarks, timeout: timeout) { _, _ in })
    }
  }

  private func open(
    _ state: inout StoreState, _ resource: String, _ filter: ObjectFilter, bookmarks: Bool, timeout: Duration,
    replay: (StoreState, AsyncStream<WatchEvent>.Continuation) -> Void
  ) -> AsyncStream<WatchEvent> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: WatchEvent.self, bufferingPolicy: .bufferingOldest(Watcher.bufferSize + state.historyLimit * 2))
    replay(state, continuation)
    let id = state.nextWatcher
    state.nextWatcher += 1
    state.watchers[id] = Watcher(
      resource: resource, filter: filter, wantsBookmarks: bookmarks, deadline: .now + timeout,
      continuation: continuation)
    continuation.onTermination = { [weak self] reason in
      // A stream that the store itself finished was removed with the lock held.
      guard case .cancelled = reason else { return }
      // Later, not here: this runs with the lock of the cancelled task, which a writer that holds the store's takes to wake
      // that task.
      Task { self?.state.withLock { $0.watchers[id] = nil } }
    }
    return stream
  }

  /// Ends watches whose time is over and sends bookmarks; called every few seconds.
  func tick(bookmarks: Bool = true) {
    state.withLock { state in
      let now = ContinuousClock.now
      for (id, watcher) in state.watchers {
        if watcher.deadline <= now {
          state.watchers[id] = nil
          watcher.continuation.finish()
        } else if bookmarks, watcher.wantsBookmarks {
          watcher.continuation.yield(.bookmark(state.resourceVersion))
        }
      }
    }
  }

  /// Ends every watch, of one resource or of all.
  func endWatches(of resource: String? = nil) {
    state.withLock { state in
      for (id, watcher) in state.watchers where resource == nil || watcher.resource == resource {
        state.watchers[id] = nil
        watcher.continuation.finish()
      }
    }
  }
}

extension StoreState {
  mutating func list(_ resource: String, _ filter: ObjectFilter, limit: Int?, after: ObjectKey?) -> ListPage {
    let keys = sortedKeys(resource)
    let objects = collections[resource]?.objects ?? [:]
    var start = 0
    if let after { start = keys.partitioningIndex { after < $0 } }
    var page: [StoredObject] = []
    var last: ObjectKey?
    for (offset, key) in keys[start...].enumerated() {
      guard let object = objects[key], filter.matches(object) else { continue }
      if let limit, page.count == limit {
        return ListPage(
          objects: page, resourceVersion: resourceVersion, next: last,
          remaining: StoreState.count(keys[(start + offset)...], filter))
      }
      page.append(object)
      last = key
    }
    return ListPage(objects: page, resourceVersion: resourceVersion, next: nil, remaining: nil)
  }

  /// How many of `keys`, which are in order and begin with one that matches, match; nil with a selector, as the objects
  /// would have to be searched then.
  private static func count(_ keys: ArraySlice<ObjectKey>, _ filter: ObjectFilter) -> Int? {
    guard filter.name == nil, filter.labels.requirements.isEmpty, filter.fields.isEmpty else { return nil }
    guard let namespace = filter.namespace else { return keys.count }
    return keys[keys.startIndex...].partitioningIndex { $0.namespace != namespace } - keys.startIndex
  }

  /// What a change means to a watcher with this filter: an object that starts to match is added to its world.
  static func event(_ change: StoreChange, for filter: ObjectFilter) -> WatchEvent? {
    let matches = filter.matches(change.object)
    let matched = change.previous.map(filter.matches) ?? false
    switch change.kind {
    case .deleted: return matches || matched ? .change(.deleted, change.object) : nil
    case .added, .modified:
      if matches { return .change(matched ? .modified : .added, change.object) }
      return matched ? .change(.deleted, change.object) : nil
    }
  }

  mutating func publish(_ change: StoreChange) {
    for (id, watcher) in watchers where watcher.resource == change.object.key.resource {
      guard let event = StoreState.event(change, for: watcher.filter) else { continue }
      if case .dropped = watcher.continuation.yield(event) {
        watchers[id] = nil
        watcher.continuation.finish()
      }
    }
  }
}

extension RandomAccessCollection {
  /// The first index whose element satisfies a predicate that is false for a prefix and true for the rest.
  func partitioningIndex(_ belongsToSecond: (Element) -> Bool) -> Index {
    var low = startIndex
    var count = self.count
    while count > 0 {
      let half = count / 2
      let middle = index(low, offsetBy: half)
      if belongsToSecond(self[middle]) {
        count = half
      } else {
        low = index(after: middle)
        count -= half + 1
      }
    }
    return low
  }
}
