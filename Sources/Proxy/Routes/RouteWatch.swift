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

  /// - Parameters:
  ///   - duty: Whether the agent is answered.
  ///   - changed: Called when other files are in force.
  public init(
    files: ProxyFiles, routes: RouteStore, logger: Logger, duty: ProxyDuty = ProxyDuty(),
    changed: @escaping @Sendable () -> Void = {}
  ) {
    self.duty = duty
    self.changed = changed
    self.files = files
    self.routes = routes
    self.logger = logger
    book = Mutex(RouteBook(registry: routes.registry))
  }

  /// Follows the files until the task is cancelled.
  public func run() async throws {
    try StateFiles.makeDirectories(files.listeners)
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
    }
    changed()
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
