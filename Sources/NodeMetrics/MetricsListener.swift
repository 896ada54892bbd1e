import Threads

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Answers `GET /metrics`, one scrape after the other, until it is stopped.
///
/// A client has two seconds to ask and two to read the answer; a slow one delays other scrapes, never the process.
public final class MetricsListener: Sendable {
  public let address: MetricsAddress
  private let descriptor: Int32

  /// Binds and listens. Throws when the port is taken, or the address is not this host's.
  public init(_ address: MetricsAddress) throws(MetricsError) {
    let flags = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
    let operation = "listen on \(address) for metrics"
    let number = socket(address.host.isIPv4 ? AF_INET : AF_INET6, flags, 0)
    guard number >= 0 else { throw MetricsError(operation, errno: errno) }
    var one: Int32 = 1
    // Connections of an earlier process that are still closing do not keep the port.
    setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &one, socklen_t(MemoryLayout<Int32>.size))
    guard address.withSocketAddress({ bind(number, $0, $1) }) == 0, listen(number, 16) == 0 else {
      let failure = errno
      close(number)
      throw MetricsError(operation, errno: failure)
    }
    descriptor = number
    self.address = MetricsAddress(host: address.host, port: MetricsListener.port(of: number) ?? address.port)
  }

  /// Serves for as long as the task lives: a port that is taken is asked for again, after a tenth of a second at first and ten
  /// seconds at last, as whoever tells of itself has more to do. `report` hears of a problem when it comes or changes, and nil when it is over.
  public static func serve(
    _ address: MetricsAddress, report: (MetricsError?) -> Void,
    _ collect: @escaping @Sendable () async -> [MetricFamily]
  ) async {
    var problem: String?
    var pause = Duration.milliseconds(100)
    while !Task.isCancelled {
      do throws(MetricsError) {
        let listener = try MetricsListener(address)
        if problem != nil { report(nil) }
        problem = nil
        pause = .milliseconds(100)
        await listener.run(collect)
      } catch {
        if problem != "\(error)" { report(error) }
        problem = "\(error)"
      }
      try? await Task.sleep(for: pause)
      pause = min(pause * 2, .seconds(10))
    }
  }

  /// Serves what `collect` gives for each scrape; returns when the task is cancelled.
  public func run(_ collect: @escaping @Sendable () async -> [MetricFamily]) async {
    let (connections, arrived) = AsyncStream.makeStream(of: Int32.self, bufferingPolicy: .bufferingOldest(16))
    let listener = descriptor
    DetachedThread.start {
      while true {
        let connection = accept(listener, nil, nil)
        if connection >= 0 {
          if case .enqueued = arrived.yield(connection) { continue }
          close(connection)
        } else if errno != EINTR, errno != ECONNABORTED {
          // EINVAL is the end; without descriptors it is better to come back than to spin.
          if errno == EINVAL { break }
          usleep(100_000)
        }
      }
      close(listener)
      arrived.finish()
    }
    await withTaskCancellationHandler {
      for await connection in connections { await MetricsListener.serve(connection, collect) }
    } onCancel: {
      shutdown(listener, Int32(SHUT_RDWR))
    }
  }

  private static func serve(_ connection: Int32, _ collect: @Sendable () async -> [MetricFamily]) async {
    let request = await DetachedThread.run { MetricsRequest.read(from: connection) }
    var answer: [UInt8]?
    switch request {
    case .metrics(let isHead):
      let text = TextExposition.render(await collect() + ProcessMetrics.collect())
      answer = response("200 OK", TextExposition.contentType, text, isHead: isHead)
    case .refused(let status): answer = response(status, "text/plain; charset=utf-8", status + "\n", isHead: false)
    case .none: break
    }
    await DetachedThread.run { [answer] in
      if let answer { MetricsRequest.write(answer, to: connection) }
      close(connection)
    }
  }

  private static func response(_ status: String, _ type: String, _ body: String, isHead: Bool) -> [UInt8] {
    let bytes = Array(body.utf8)
    let head =
      "HTTP/1.1 \(status)\r\nContent-Type: \(type)\r\nContent-Length: \(bytes.count)\r\nConnection: close\r\n\r\n"
    return Array(head.utf8) + (isHead ? [] : bytes)
  }

  private static func port(of descriptor: Int32) -> UInt16? {
    var storage = sockaddr_in6()
    var length = socklen_t(MemoryLayout<sockaddr_in6>.size)
    let result = withUnsafeMutablePointer(to: &storage) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    // The port has the same place in both families' addresses.
    return result == 0 ? UInt16(bigEndian: storage.sin6_port) : nil
  }
}
