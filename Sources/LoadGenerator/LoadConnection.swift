/// One connection's place in the generator; it is opened again and again with a connection for each request.
struct LoadConnection {
  enum State {
    case closed
    case connecting
    /// Open, with nothing under way.
    case idle
    /// A request is being sent or its answer awaited.
    case waiting
    /// The answer is complete; the server is to close, so that its side keeps TIME_WAIT and no port is used up here.
    case draining
    /// Closed after an error until `deadline`, so that a dead server is not asked in a busy loop.
    case resting
  }

  var descriptor: Int32 = -1
  var state = State.closed
  /// What latency is counted from; 0 while no request is assigned.
  var began: UInt64 = 0
  /// When the request fails, or the rest ends.
  var deadline: UInt64 = 0
  var sent = 0
  var echoed = 0
  /// Number of the last DNS query, and RCODE of its answer.
  var query: UInt16 = 0
  var code = 0
  var reader: ResponseReader
}

/// Numbers of free connections, first in, first out, so that a slow rate uses all of them in turn.
struct IndexQueue {
  private var items: [Int]
  private var head = 0
  private(set) var count = 0

  init(capacity: Int) { items = [Int](repeating: 0, count: capacity) }

  var isEmpty: Bool { count == 0 }

  mutating func append(_ item: Int) {
    items[(head + count) % items.count] = item
    count += 1
  }

  mutating func popFirst() -> Int? {
    guard count > 0 else { return nil }
    let item = items[head]
    head = (head + 1) % items.count
    count -= 1
    return item
  }
}
