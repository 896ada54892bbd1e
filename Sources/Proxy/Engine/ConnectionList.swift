/// The connections of one worker, in slabs that are never given back: they are small, and the next burst needs them.
struct ConnectionList {
  private(set) var first: ConnectionPointer?
  private var free: ConnectionPointer?
  private var dead: ConnectionPointer?
  private var slabs: [UnsafeMutableRawPointer] = []

  private static let slabCount = 32

  mutating func add(_ connection: Connection) -> ConnectionPointer {
    if free == nil { grow() }
    guard let c = free else { preconditionFailure("a slab holds connections") }
    free = c.pointee.next
    c.initialize(to: connection)
    c.pointee.next = first
    first?.pointee.previous = c
    first = c
    return c
  }

  /// Takes a connection out. Its memory stays as it is until `recycleDead`: events of the same batch may still name it.
  mutating func remove(_ c: ConnectionPointer) {
    if let previous = c.pointee.previous {
      previous.pointee.next = c.pointee.next
    } else {
      first = c.pointee.next
    }
    c.pointee.next?.pointee.previous = c.pointee.previous
    c.pointee.previous = nil
    c.pointee.next = dead
    dead = c
  }

  /// Those that wait in a queue stay as they are until they have left it.
  mutating func recycleDead() {
    var waiting: ConnectionPointer?
    while let c = dead {
      dead = c.pointee.next
      if c.pointee.isQueued {
        c.pointee.next = waiting
        waiting = c
      } else {
        c.pointee.next = free
        free = c
      }
    }
    dead = waiting
  }

  func deallocate() {
    for slab in slabs { slab.deallocate() }
  }

  private mutating func grow() {
    let stride = (MemoryLayout<Connection>.stride + 15) & ~15
    // The low four bits of an address are free for marks.
    let slab = UnsafeMutableRawPointer.allocate(byteCount: stride * Self.slabCount, alignment: 64)
    slabs.append(slab)
    for index in 0..<Self.slabCount {
      let c = (slab + index * stride).bindMemory(to: Connection.self, capacity: 1)
      c.pointee.next = free
      free = c
    }
  }
}
