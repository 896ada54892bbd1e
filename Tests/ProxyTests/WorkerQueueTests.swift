import Addressing
import Glibc
import Testing

@testable import Proxy

@Suite struct WorkerQueueTests {
  private static let address = SocketAddress(IPAddress(v4: 0x7F00_0001), port: 9)

  /// A connection with far more to read than one turn takes: messages are received one by one.
  private static func busy(_ worker: Worker) -> (connection: ConnectionPointer, peer: Int32) {
    var pair: [Int32] = [-1, -1]
    let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    #expect(socketpair(AF_UNIX, kind, 0, &pair) == 0)
    for _ in 0..<100 { #expect(send(pair[1], "x", 1, 0) == 1) }
    let c = worker.connections.add(
      Connection(client: pair[0], clientAddress: address, serverAddress: address, now: worker.now))
    c.pointee.request = .linger
    c.pointee.client.isReadable = true
    c.pointee.client.isHangingUp = true
    return (c, pair[1])
  }

  /// Its memory must not become another connection's while the queue goes through it.
  @Test func `a timer that ends a connection in the queue leaves the others there`() throws {
    let mailbox = try WorkerMailbox()
    let shared = ProxyShared(
      resolver: FixedResolver(TestProxy.policy), dialer: FixedDialer(Self.address), rules: RuleStore(),
      routes: RouteStore(), judge: nil, options: ProxyOptions(), listeners: [], mailboxes: [mailbox], takers: [:])
    let worker = try Worker(shared: shared, mailbox: mailbox)
    let (ending, first) = Self.busy(worker)
    let (waiting, second) = Self.busy(worker)
    defer { for fd in [first, second] { close(fd) } }
    let work = RoutingWork()
    worker.routing = work
    let routed = work.add(ending)
    ending.pointee.routed = routed.number
    routed.deadlines.route = 1
    worker.setTimer(ending, routed)
    worker.enqueue(ending)
    worker.enqueue(waiting)
    worker.endBatch()
    #expect(ending.pointee.request == .closed)
    let next = worker.connections.add(
      Connection(client: -1, clientAddress: Self.address, serverAddress: Self.address, now: worker.now))
    #expect(next == ending)
    for _ in 0..<6 { worker.endBatch() }
    #expect(!waiting.pointee.client.isReadable && !waiting.pointee.isQueued)
    #expect(waiting.pointee.discarded == 100)
  }
}
