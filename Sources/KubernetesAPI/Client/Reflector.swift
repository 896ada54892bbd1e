import JSON
import Logging

/// Keeps track of the objects of one kind: lists them, watches for changes, and does so again, with growing pauses,
/// whatever happens to the connection.
///
///     for await delta in Reflector<Pod>(client: client, options: .init(fieldSelector: "spec.nodeName=a")).deltas() {
public struct Reflector<Object: KubernetesObject>: Sendable {
  private let client: KubernetesClient
  private let namespace: String?
  private let options: ListOptions
  private let backoff: Backoff
  private let watchTimeout: Duration
  private let logger: Logger

  /// `namespace` nil means all. `watchTimeout`: seconds after which a watch is renewed, which also bounds how long a
  /// dead connection goes unnoticed.
  public init(
    client: KubernetesClient, namespace: String? = nil, options: ListOptions = ListOptions(limit: 500),
    backoff: Backoff = Backoff(), watchTimeout: Duration = .seconds(240),
    logger: Logger = Logger(label: "martlet.reflector")
  ) {
    self.client = client
    self.namespace = namespace
    self.options = options
    self.backoff = backoff
    self.watchTimeout = watchTimeout
    self.logger = logger
  }

  /// As a stream, which ends when its reader stops. What the reader has not taken yet is kept without a limit; a reader
  /// that may be slow uses `run`.
  public func deltas() -> AsyncStream<ReflectorDelta<Object>> {
    AsyncStream { continuation in
      let task = Task {
        await run { continuation.yield($0) }
        continuation.finish()
      }
      continuation.onTermination = { _ in task.cancel() }
    }
  }

  /// Delivers deltas, one after another, until the task is cancelled.
  public func run(_ deliver: @escaping @Sendable (ReflectorDelta<Object>) async -> Void) async {
    var backoff = backoff
    // nil: list first.
    var resourceVersion: String?
    let told = ToldObjects()
    while !Task.isCancelled {
      do throws(KubernetesError) {
        let version: String
        if let resourceVersion {
          version = resourceVersion
        } else {
          version = try await list(told, deliver)
          resourceVersion = version
        }
        let started = ContinuousClock.now
        let outcome = try await watch(from: version, told, deliver)
        resourceVersion = outcome.resourceVersion
        let wasUseful = outcome.sawEvents || .now - started > .seconds(5)
        if wasUseful { backoff.reset() }
        if let error = outcome.error { throw error }
        // A server that ends watches at once must not be asked in a loop.
        if !wasUseful { try? await Task.sleep(for: backoff.next()) }
      } catch {
        guard !Task.isCancelled else { return }
        switch error {
        // Nothing was said about the version, so it is still good.
        case .transport, .status(429, _, _, _): break
        case .status, .malformed, .undecodable: resourceVersion = nil
        }
        let pause = backoff.next()
        logger.warning(
          "\(Object.resource.plural): \(error); trying again",
          metadata: ["pause": "\(pause)", "relist": "\(resourceVersion == nil)"])
        try? await Task.sleep(for: pause)
      }
    }
  }

  private func list(
    _ told: ToldObjects, _ deliver: @Sendable (ReflectorDelta<Object>) async -> Void
  ) async throws(KubernetesError) -> String {
    // A page is decoded before the next one is asked for: thousands of documents at once would leave holes all over the heap.
    let (list, version) = try await client.listAll(
      Object.resource, namespace: namespace, options, into: Listing()
    ) { list, items in
      list.versions.reserveCapacity(list.versions.count + items.count)
      for item in items {
        guard let key = ObjectKey(of: item, kind: Object.resource.kind) else { continue }
        let version = ToldObjects.Version(of: item)
        list.versions[key] = version
        if told.lacks(key, version), let delta = delta(item) { list.news.append(delta) }
      }
    }
    if let gone = told.replace(by: list.versions) {
      for key in gone { await deliver(.deleted(key)) }
      for delta in list.news { await deliver(delta) }
    } else {
      await deliver(whole(list.news))
    }
    return version
  }

  /// What a list says: which objects there are, and of them the new and the changed.
  private struct Listing: Sendable {
    var versions: [ObjectKey: ToldObjects.Version] = [:]
    var news: [ReflectorDelta<Object>] = []
  }

  private func whole(_ news: [ReflectorDelta<Object>]) -> ReflectorDelta<Object> {
    var objects: [Object] = []
    var invalid: [InvalidObject] = []
    objects.reserveCapacity(news.count)
    for delta in news {
      switch delta {
      case .applied(let object): objects.append(object)
      case .invalid(let key, let raw, let error): invalid.append(InvalidObject(key: key, raw: raw, error: error))
      case .replaced, .deleted: break
      }
    }
    return .replaced(objects, invalid: invalid)
  }

  private struct Outcome: Sendable {
    var resourceVersion: String
    var sawEvents = false
    var error: KubernetesError?

    mutating func advance(to object: JSONValue) {
      if let version = object[path: "metadata", "resourceVersion"]?.stringValue { resourceVersion = version }
    }
  }

  /// One watch, to its end.
  private func watch(
    from resourceVersion: String, _ told: ToldObjects,
    _ deliver: @escaping @Sendable (ReflectorDelta<Object>) async -> Void
  ) async throws(KubernetesError) -> Outcome {
    let events = try await client.watch(
      Object.resource, namespace: namespace, options, resourceVersion: resourceVersion, timeout: watchTimeout)
    // The server ends the watch in time; if it does not, the connection is dead.
    return await withTaskGroup(of: Outcome?.self) { group in
      group.addTask { await follow(events, from: resourceVersion, told, deliver) }
      group.addTask { [watchTimeout] in
        try? await Task.sleep(for: watchTimeout + .seconds(15))
        return nil
      }
      var outcome: Outcome?
      while let finished = await group.next() {
        group.cancelAll()
        if let finished { outcome = finished }
      }
      return outcome ?? Outcome(resourceVersion: resourceVersion)
    }
  }

  private func follow(
    _ events: WatchEvents, from resourceVersion: String, _ told: ToldObjects,
    _ deliver: @Sendable (ReflectorDelta<Object>) async -> Void
  ) async -> Outcome {
    var outcome = Outcome(resourceVersion: resourceVersion)
    var iterator = events.makeAsyncIterator()
    do throws(KubernetesError) {
      while let event = try await iterator.next() {
        switch event {
        case .added(let object), .modified(let object):
          told.insert(object, kind: Object.resource.kind)
          if let delta = delta(object) { await deliver(delta) }
          outcome.advance(to: object)
        case .deleted(let object):
          if let key = ObjectKey(of: object, kind: Object.resource.kind) {
            told.remove(key)
            await deliver(.deleted(key))
          }
          outcome.advance(to: object)
        case .bookmark(let version): if !version.isEmpty { outcome.resourceVersion = version }
        case .error(let error):
          outcome.error = error
          return outcome
        }
        outcome.sawEvents = true
      }
    } catch {
      outcome.error = error
    }
    return outcome
  }

  private func delta(_ value: JSONValue) -> ReflectorDelta<Object>? {
    do throws(FieldError) {
      return .applied(try Object(value))
    } catch {
      guard let key = ObjectKey(of: value, kind: Object.resource.kind) else {
        logger.error("\(Object.resource.plural): an object without a name: \(error)")
        return nil
      }
      return .invalid(key, raw: value, error)
    }
  }
}
