import Files
public import Logging
import Synchronization

/// Keeps a `RouteStore` equal to the agent's files and answers which listeners are served.
///
/// No file: nothing is routed. A broken file: the last good listener stays, and the answer names it.
public final class RouteWatch: Sendable {
  private let files: ProxyFiles
  private let routes: RouteStore
  private let logger: Logger
  private let duty: ProxyDuty
  private let changed: @Sendable () -> Void
  private let book: Mutex<RouteBook>
  private let names: NameRefresh

  /// - Parameters:
  ///   - duty: Whether the agent is answered.
  ///   - changed: Called when other files are in force.
  ///   - lookup: Resolves a name; may block.
  public init(
    files: ProxyFiles, routes: RouteStore, logger: Logger, duty: ProxyDuty = ProxyDuty(),
    changed: @escaping @Sendable () -> Void = {},
    lookup: @escaping @Sendable (NameQuery) -> NameAnswer = { $0.resolve() }
  ) {
    self.duty = duty
    names = NameRefresh(logger: logger, lookup: lookup)
    self.changed = changed
    self.files = files
    self.routes = routes
    self.logger = logger
    book = Mutex(RouteBook(registry: routes.registry))
  }

  /// Whether the names that routes need have been looked up.
  var isSettled: Bool { names.isSettled }

  /// Follows the files until the task is cancelled.
  public func run() async throws {
    try StateFiles.makeDirectories(files.listeners)
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.followFiles() }
      group.addTask { for await update in self.names.updates { self.take(update) } }
      defer { names.want([]) }
      try await group.next()
      group.cancelAll()
      try await group.waitForAll()
    }
  }

  private func followFiles() async throws {
    try await FolderWatch(folders: [files.folder, files.listeners]).run { [self] changes in
      switch changes {
      case .unknown: load()
      case .files(let names):
        let listeners = names[files.listeners, default: []].compactMap(RouteBook.number)
        let endpoints = names[files.folder, default: []].contains(ProxyFiles.endpointsName)
        if endpoints || !listeners.isEmpty { load(listeners, endpoints: endpoints, all: false) }
      }
    }
  }

  /// Reads all files once.
  public func load() {
    do throws(FileError) {
      load(try StateFiles.list(files.listeners).compactMap(RouteBook.number), endpoints: true, all: true)
    } catch {
      logger.error("the listeners can not be read, those of before stay in force: \(error)")
    }
  }

  private func load(_ numbers: [UInt32], endpoints: Bool, all: Bool) {
    book.withLock { book in
      // First, so that new routes find the endpoints that were written before them.
      if endpoints { loadEndpoints(&book) }
      if all { book.keep(Set(numbers)) }
      for number in numbers.sorted() { loadListener(number, &book) }
      routes.replace(with: book.snapshot)
      answer(book.answer)
      let queries = book.queries
      book.keepNames(queries)
      names.want(queries)
    }
    changed()
  }

  private func take(_ update: NameRefresh.Update) {
    book.withLock { book in
      // It may not be asked for any more.
      guard book.queries.contains(update.query) else { return }
      book.setName(update.query, update.addresses)
      routes.replace(with: book.snapshot)
    }
  }

  private func loadEndpoints(_ book: inout RouteBook) {
    do {
      try book.setEndpoints(try StateFiles.readIfPresent(files.endpoints))
    } catch {
      logger.error("the endpoints are not usable, the last good ones stay in force: \(error)")
    }
  }

  private func loadListener(_ number: UInt32, _ book: inout RouteBook) {
    do throws(FileError) {
      book.setListener(number, try StateFiles.readIfPresent(files.listener(number)))
      if let rejection = book.rejection(of: number) {
        logger.error("listener \(number) is not usable, its last good version stays in force: \(rejection.reason)")
      }
    } catch {
      logger.error("listener \(number) can not be read, its last good version stays in force: \(error)")
    }
  }

  private func answer(_ answer: ListeningAnswer) {
    duty.perform {
      do throws(FileError) {
        try StateFiles.write(Array((answer.json.text() + "\n").utf8), to: files.listening)
      } catch {
        logger.error("routes are in force but can not be acknowledged: \(error)")
      }
    }
  }
}
