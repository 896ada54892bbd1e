import JSON
import KubernetesAPI
import Labels
import Logging

/// Keeps the EndpointSlices of Services with selectors: what Kubernetes' controller manager does, for a cluster that has
/// none. Reads everything by watches; writes differences only.
public actor EndpointSliceController {
  private enum Input: Sendable {
    case service(ReflectorDelta<Service>)
    case pod(ReflectorDelta<Pod>)
    case node(ReflectorDelta<Node>)
    case slice(ReflectorDelta<EndpointSlice>)
  }

  /// Services whose slices are written at the same time.
  private static let batch = 32

  private let client: KubernetesClient
  private let pause: Duration
  private let logger: Logger
  private var book = EndpointSliceBook()
  /// When a Service's slices may be written again.
  private var rests: [EndpointSliceBook.Name: ContinuousClock.Instant] = [:]
  private let wakes: AsyncStream<Void>
  private let wake: AsyncStream<Void>.Continuation

  /// - Parameter pause: how long a Service's slices stay as they were written, at least: pods that come and go faster are
  ///   told together. A first change is written at once.
  public init(client: KubernetesClient, pause: Duration = .milliseconds(100), logger: Logger) {
    self.client = client
    self.pause = pause
    self.logger = logger
    (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
  }

  /// Works until the task is cancelled.
  public func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.follow(Service.self) { .service($0) } }
      group.addTask { await self.follow(Pod.self) { .pod($0) } }
      group.addTask { await self.follow(Node.self) { .node($0) } }
      let ours = LabelSelector(matchLabels: [EndpointSlice.managedByLabel: SliceReconciliation.manager])
      group.addTask {
        await self.follow(EndpointSlice.self, ListOptions(labelSelector: ours, limit: 500)) { .slice($0) }
      }
      group.addTask { await self.work() }
    }
  }

  private nonisolated func follow<Object: KubernetesObject>(
    _ type: Object.Type, _ options: ListOptions = ListOptions(limit: 500),
    _ input: @escaping @Sendable (ReflectorDelta<Object>) -> Input
  ) async {
    await Reflector<Object>(client: client, options: options, logger: logger).run { [self] delta in
      await take(input(delta))
    }
  }

  private func take(_ input: Input) {
    switch input {
    case .service(let delta):
      // Its slices go with it: only what is left after a while is the controller's to delete.
      if case .deleted(let key) = delta { rests[EndpointSliceBook.name(key)] = .now + .seconds(1) }
      book.apply(delta)
    case .pod(let delta): book.apply(delta)
    case .node(let delta): book.apply(delta)
    case .slice(let delta): book.apply(delta)
    }
    if book.isComplete, !book.stale.isEmpty { wake.yield() }
  }

  private func work() async {
    for await _ in wakes {
      guard book.isComplete else { continue }
      while !Task.isCancelled {
        let now = ContinuousClock.now
        let due = book.takeStale(EndpointSliceController.batch) { name in rests[name].map { $0 <= now } ?? true }
        guard !due.isEmpty else { break }
        await write(due)
      }
      sleepUntilDue()
    }
  }

  /// Those that rest wake the worker when their time has come.
  private func sleepUntilDue() {
    let now = ContinuousClock.now
    rests = rests.filter { $0.value > now }
    guard let next = book.stale.compactMap({ rests[$0] }).min() else { return }
    Task { [wake] in
      try? await Task.sleep(until: next)
      wake.yield()
    }
  }

  private func write(_ names: [EndpointSliceBook.Name]) async {
    await withTaskGroup(of: Void.self) { group in
      for name in names {
        let writes = book.writes(name)
        guard !writes.isEmpty else { continue }
        rests[name] = .now + pause
        group.addTask { await self.make(writes, of: name) }
      }
    }
  }

  private func make(_ writes: [SliceWrite], of name: EndpointSliceBook.Name) async {
    for write in writes {
      do throws(KubernetesError) {
        try await make(write, of: name)
      } catch {
        // Somebody else was there first, the Service has gone, or the server has: the watches tell, and it is tried again.
        if !error.isConflict, !error.isNotFound {
          logger.warning("the slices of service \(name.namespace)/\(name.name) can not be written: \(error)")
        }
        rests[name] = .now + max(pause, .seconds(1))
        book.markStale(name)
        return
      }
    }
  }

  private func make(_ write: SliceWrite, of name: EndpointSliceBook.Name) async throws(KubernetesError) {
    switch write {
    case .create(let slice): book.note(try await client.create(EndpointSlice.resource, slice), isOwn: true)
    case .update(let slice): book.note(try await client.update(EndpointSlice.resource, slice), isOwn: true)
    case .delete(let slice, let uid):
      do throws(KubernetesError) {
        try await client.delete(
          EndpointSlice.resource, namespace: name.namespace, name: slice, DeleteOptions(uid: uid))
      } catch {
        guard error.isNotFound else { throw error }
      }
      book.forget(EndpointSliceBook.Name(namespace: name.namespace, name: slice), isOwn: true)
    }
  }
}
