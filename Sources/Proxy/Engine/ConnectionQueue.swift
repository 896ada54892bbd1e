/// Connections that wait for their turn, the one that has waited longest first. Who is in it says so itself.
struct ConnectionQueue {
  private var first: ConnectionPointer?
  private var last: ConnectionPointer?

  var isEmpty: Bool { first == nil }

  /// Adds one that is in no queue.
  mutating func add(_ c: ConnectionPointer) {
    c.pointee.isQueued = true
    c.pointee.nextQueued = nil
    if let last { last.pointee.nextQueued = c } else { first = c }
    last = c
  }

  /// Those that wait now; what is added from here on waits for the next time.
  mutating func takeAll() -> ConnectionQueue {
    defer { self = ConnectionQueue() }
    return self
  }

  mutating func next() -> ConnectionPointer? {
    guard let c = first else { return nil }
    first = c.pointee.nextQueued
    c.pointee.isQueued = false
    return c
  }
}
