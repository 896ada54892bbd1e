import Balancing
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What a worker needs for routed connections, made when the first one comes.
final class RoutingWork {
  var timers = TimerHeap()
  var verdicts = VerdictMemory()
  var lines = LineBatches()
  private var connections: [RoutedConnection] = []
  private var free: [RoutedConnection] = []
  private var routes = RouteSnapshot()
  private var version: UInt64 = 0
  /// The listener that was asked last, which most often is asked again.
  private var recent: RoutedListener?
  private var generator = SplitMix64(seed: .random(in: .min ... .max))
  private let hostname: String

  /// Where heads are written anew.
  let scratch: UnsafeMutablePointer<UInt8>
  static let scratchSize = Endpoint.capacity + Endpoint.slack
  /// For the head of a request when the worker's own are those of its response.
  var head = RequestHead()
  var fields = FieldSection()
  let facts: UnsafeMutablePointer<HTTPHeaderFacts>

  init() {
    scratch = .allocate(capacity: Self.scratchSize)
    facts = .allocate(capacity: FieldSection.capacity)
    var name = [CChar](repeating: 0, count: 256)
    gethostname(&name, name.count - 1)
    hostname = String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    scratch.deallocate()
    facts.deallocate()
    fields.deallocate()
  }

  /// When there is something to do next; nil for never.
  var deadline: UInt64? {
    guard let first = timers.first, let waiting = lines.deadline else { return timers.first ?? lines.deadline }
    return min(first, waiting)
  }

  subscript(number: UInt32) -> RoutedConnection { connections[Int(number) - 1] }

  /// nil for a number that nobody has had.
  func connection(_ number: UInt32) -> RoutedConnection? {
    number > 0 && number <= connections.count ? connections[Int(number) - 1] : nil
  }

  func add(_ c: ConnectionPointer) -> RoutedConnection {
    if let recycled = free.popLast() {
      recycled.adopt(c)
      return recycled
    }
    let new = RoutedConnection(number: UInt32(connections.count + 1), c, hostname: hostname)
    connections.append(new)
    return new
  }

  func remove(_ connection: RoutedConnection) {
    connection.release()
    free.append(connection)
  }

  /// The listener of a number as it is now; nil when the proxy has none.
  func listener(_ number: UInt32, in store: RouteStore) -> RoutedListener? {
    if store.currentVersion != version {
      (version, routes) = store.versioned
      recent = nil
    }
    if let recent, recent.number == number { return recent }
    recent = routes.listeners[number]
    return recent
  }

  func random() -> UInt64 { generator.next() }
}
