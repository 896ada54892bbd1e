import Addressing
import Foundation
import Glibc
import Logging
import Synchronization
import TestSupport
import Testing

@testable import Proxy

/// One proxy takes the place of another: what the two say to each other.
@Suite(.serialized) struct HandoverTests {
  @Test(arguments: [
    HandoverMessage.hello(version: 1), .hello(version: .max), .ready(drain: 600), .released, .serving, .connection,
    .predecessor, .withdrawn,
  ])
  func `messages come back`(_ message: HandoverMessage) {
    #expect(HandoverMessage(message.octets) == message)
  }

  @Test(
    arguments: [
      [], [1], [1, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0, 0, 0], [8, 0, 0, 0, 0, 0, 0, 0],
      [3, 0, 0, 0, 0, 0, 0, 1], [1, 1, 0, 0, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0, 0, 1],
    ] as [[UInt8]])
  func `other octets are no message`(_ octets: [UInt8]) {
    #expect(HandoverMessage(octets) == nil)
  }

  /// What a proxy was told to do.
  private final class FakeIncumbent: Incumbent {
    enum Step: Hashable {
      case release, resume
      case depart(passes: Bool, Duration)
    }

    let sockets: [Int32]
    private let all = Mutex<[Step]>([])
    let outbox = Mutex<HandoverOutbox?>(nil)

    init() throws {
      let addresses = ["127.0.0.1", "::1"].map { SocketAddress(IPAddress($0)!, port: 0) }
      sockets = try addresses.map { try Listener($0).fd } + addresses.map { try DNSListener($0).fd }
    }

    deinit { for socket in sockets { close(socket) } }

    func release() -> Bool {
      all.withLock { $0.append(.release) }
      return true
    }
    func resume() { all.withLock { $0.append(.resume) } }
    func depart(_ outbox: HandoverOutbox?, limit: Duration, successor: pid_t) {
      self.outbox.withLock { $0 = outbox }
      all.withLock { $0.append(.depart(passes: outbox != nil, limit)) }
    }

    func expect(_ steps: [Step]) {
      for _ in 0..<2000 where all.withLock({ $0 != steps }) { usleep(10_000) }
      let seen = all.withLock { $0 }
      #expect(seen == steps)
    }
  }

  private struct Stage {
    let path: String
    let incumbent: FakeIncumbent
    let server: HandoverServer

    /// The raw stream of a peer that says what it likes.
    func connect() throws -> HandoverLink { try #require(try HandoverLink.connect(to: path)) }

    func find() throws -> Predecessor? { try Predecessor.find(at: path, logger: HandoverTests.quiet) }
  }

  private static let quiet = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
  }()

  private func with(
    _ patience: HandoverServer.Patience = .init(), _ body: (Stage) throws -> Void
  ) throws {
    let directory = try TemporaryDirectory.make("handover")
    defer { TemporaryDirectory.remove(directory) }
    let path = directory + "/handover.sock"
    let incumbent = try FakeIncumbent()
    let server = HandoverServer(
      try HandoverSocket(path: path), incumbent: incumbent, logger: HandoverTests.quiet, patience: patience)
    server.start()
    defer { server.stop() }
    try body(Stage(path: path, incumbent: incumbent, server: server))
  }

  /// Sends octets as they are.
  private func send(_ octets: [UInt8], to link: HandoverLink) {
    #expect(Glibc.send(link.fd, octets, octets.count, Int32(MSG_NOSIGNAL)) == octets.count)
  }

  @Test func `nobody is there`() throws {
    let directory = try TemporaryDirectory.make("handover")
    defer { TemporaryDirectory.remove(directory) }
    let path = directory + "/handover.sock"
    #expect(try Predecessor.find(at: path, logger: HandoverTests.quiet)?.link == nil)
    // One that was killed leaves the socket's name.
    let dead = try HandoverSocket(path: path)
    dead.stop()
    #expect(try Predecessor.find(at: path, logger: HandoverTests.quiet)?.link == nil)
  }

  @Test func `the successor gets the sockets, then connections`() throws {
    try with { stage in
      let predecessor = try #require(try stage.find())
      let sockets = try #require(predecessor.sockets)
      defer { for socket in sockets { close(socket) } }
      let taken = try TransparentListeners(adopting: sockets)
      #expect(taken.sockets == sockets)
      #expect(sockets.map { Socket.localAddress($0) } == stage.incumbent.sockets.map { Socket.localAddress($0) })
      try predecessor.release(drain: .seconds(7))
      stage.incumbent.expect([.release])
      try predecessor.serving(after: .zero, drain: .seconds(7))
      stage.incumbent.expect([.release, .depart(passes: true, .seconds(7))])

      let received = Mutex<[Int32]>([])
      let intake = try HandoverIntake(logger: HandoverTests.quiet) { fd in received.withLock { $0.append(fd) } }
      intake.follow(predecessor.link)
      let told = stage.incumbent.outbox.withLock { $0 }
      let outbox = try #require(told)
      var pair: [Int32] = [-1, -1]
      #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
      #expect(outbox.pass(pair[0]))
      close(pair[0])
      for _ in 0..<2000 where received.withLock(\.isEmpty) { usleep(10_000) }
      let all = received.withLock { $0 }
      let passed = try #require(all.first)
      #expect(Glibc.send(pair[1], "x", 1, 0) == 1)
      var octet: UInt8 = 0
      #expect(recv(passed, &octet, 1, 0) == 1 && octet == UInt8(ascii: "x"))
      close(passed)
      close(pair[1])
      // What is still to come is another one's.
      #expect(intake.stop().count == 1)
    }
  }

  @Test func `sockets of another kind are refused`() throws {
    let incumbent = try FakeIncumbent()
    let swapped = [2, 1, 0, 3].map { incumbent.sockets[$0] }
    #expect(throws: SocketError.self) { _ = try TransparentListeners(adopting: swapped) }
    #expect(throws: SocketError.self) { _ = try TransparentListeners(adopting: Array(incumbent.sockets[..<3])) }
  }

  @Test func `between two versions nothing but the place is handed over`() throws {
    try with { stage in
      let link = try stage.connect()
      try link.send(.hello(version: 99))
      let answer = try link.receive("hello", within: .seconds(10))
      #expect(answer.message == .hello(version: HandoverMessage.version) && answer.descriptors == [])
      stage.incumbent.expect([])
      try link.send(.ready(drain: 3))
      stage.incumbent.expect([.depart(passes: false, .seconds(3))])
    }
    // And seen from the successor.
    let directory = try TemporaryDirectory.make("handover")
    defer { TemporaryDirectory.remove(directory) }
    let socket = try HandoverSocket(path: directory + "/s")
    let found = Mutex<Bool?>(nil)
    Thread.detachNewThread {
      let predecessor = try? Predecessor.find(at: directory + "/s", logger: HandoverTests.quiet)
      found.withLock { $0 = predecessor != nil && predecessor?.sockets == nil }
      try? predecessor?.release(drain: .seconds(5))
      try? predecessor?.serving(after: .zero, drain: .seconds(5))
    }
    let link = try #require(socket.accept())
    #expect(try link.receive("hello", within: .seconds(10)).message == .hello(version: HandoverMessage.version))
    try link.send(.hello(version: 99))
    #expect(try link.receive("ready", within: .seconds(10)).message == .ready(drain: 5))
    let seen = found.withLock { $0 }
    #expect(seen == true)
  }

  @Test(
    arguments: [
      [1], Array("GET / HTTP/1.1\r\n".utf8), [1, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 0],
    ] as [[UInt8]])
  func `garbage changes nothing`(_ octets: [UInt8]) throws {
    try with { stage in
      for begins in [false, true] {
        let link = try stage.connect()
        if begins {
          try link.send(.hello(version: HandoverMessage.version))
          for fd in try link.receive("hello", within: .seconds(10), count: { _ in 4 }).descriptors { close(fd) }
        }
        send(octets, to: link)
        #expect(throws: HandoverError.ended) { try link.receive("anything", within: .seconds(10)) }
      }
      stage.incumbent.expect([])
      // The next one is served.
      let predecessor = try #require(try stage.find())
      for fd in predecessor.sockets ?? [] { close(fd) }
    }
  }

  @Test func `descriptors that nobody asked for are closed`() throws {
    var pair: [Int32] = [-1, -1]
    #expect(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &pair) == 0)
    let ends = pair.map { HandoverLink(adopting: $0) }
    var pipe: [Int32] = [-1, -1]
    #expect(Glibc.pipe(&pipe) == 0)
    try ends[0].send(.released, [pipe[1]])
    close(pipe[1])
    #expect(throws: HandoverError.unexpected(waitingFor: "released")) { try ends[1].receive("released") }
    // Nobody has the pipe's writing end any more.
    var octet: UInt8 = 0
    #expect(read(pipe[0], &octet, 1) == 0)
    close(pipe[0])
  }

  @Test(arguments: [0, 1, 2]) func `a successor that dies leaves the incumbent where it was`(_ messages: Int) throws {
    try with { stage in
      do {
        let link = try stage.connect()
        if messages > 0 {
          try link.send(.hello(version: HandoverMessage.version))
          for fd in try link.receive("hello", within: .seconds(10), count: { _ in 4 }).descriptors { close(fd) }
        }
        if messages > 1 {
          try link.send(.ready(drain: 1))
          #expect(try link.receive("released", within: .seconds(10)).message == .released)
        }
      }
      stage.incumbent.expect(messages > 1 ? [.release, .resume] : [])
      #expect(try stage.find()?.sockets?.count == 4)
    }
  }

  @Test func `a successor that takes too long is told so`() throws {
    try with(.init(gap: .milliseconds(100))) { stage in
      let predecessor = try #require(try stage.find())
      for fd in predecessor.sockets ?? [] { close(fd) }
      try predecessor.release(drain: .seconds(1))
      stage.incumbent.expect([.release, .resume])
      #expect(try predecessor.link.receive("word", within: .seconds(10)).message == .withdrawn)
    }
    // It does not even try when it knows.
    try with { stage in
      let predecessor = try #require(try stage.find())
      for fd in predecessor.sockets ?? [] { close(fd) }
      try predecessor.release(drain: .seconds(1))
      #expect(throws: HandoverError.withdrawn) { try predecessor.serving(after: .seconds(4), drain: .seconds(1)) }
    }
  }

  @Test func `the incumbent's death while the successor loads is no harm`() throws {
    var pair: [Int32] = [-1, -1]
    #expect(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &pair) == 0)
    close(pair[1])
    let predecessor = Predecessor(link: HandoverLink(adopting: pair[0]), sockets: [])
    try predecessor.release(drain: .seconds(1))
    try predecessor.serving(after: .zero, drain: .seconds(1))
  }

  @Test func `only its own user may come`() throws {
    try with { stage in
      var status = stat()
      #expect(stat(stage.path, &status) == 0 && status.st_mode & 0o777 == 0o600)
      guard geteuid() == 0 else { return }
      chmod(stage.path, 0o666)
      chmod((stage.path as NSString).deletingLastPathComponent, 0o755)
      let process = Process()
      let output = Pipe()
      process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
      process.arguments = [
        "python3", "-c",
        """
        import os, socket, sys
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        os.chdir(os.path.dirname(sys.argv[1]))
        os.setuid(65534)
        s.connect(os.path.basename(sys.argv[1]))
        try:
            s.send(bytes([1, 0, 0, 0, 0, 0, 0, 1]))
            print(len(s.recv(64)))
        except OSError: print(0)
        """, stage.path,
      ]
      process.standardOutput = output
      try process.run()
      process.waitUntilExit()
      #expect(String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self) == "0\n")
      stage.incumbent.expect([])
    }
  }
}
