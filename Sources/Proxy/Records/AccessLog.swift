#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// One worker's access records: gathered in one buffer and sent as a datagram when that is full or the batch has waited
/// long enough. Nobody is waited for: what the receiver does not take at once is counted as lost.
struct AccessLog {
  private let buffer: UnsafeMutableRawPointer
  private let sink: AccessSink
  private let counters: ProxyCounters
  private var count = 0
  private var records: UInt64 = 0
  private var fd: Int32 = -1
  private var retryAt: UInt64 = 0
  /// When the records that wait are to be sent, CLOCK_MONOTONIC; nil when none waits.
  private(set) var deadline: UInt64?

  static let capacity = 32768
  /// Nanoseconds that a record may wait for company.
  static let patience: UInt64 = 50_000_000
  static let maximumPath = 2048
  static let maximumText = 255

  let isEnabled: Bool

  init(_ sink: AccessSink, counters: ProxyCounters) {
    self.sink = sink
    self.counters = counters
    if case .none = sink { isEnabled = false } else { isEnabled = true }
    buffer = .allocate(byteCount: Self.capacity, alignment: 16)
  }

  func deallocate() {
    if fd >= 0 { close(fd) }
    buffer.deallocate()
  }

  /// Adds the record of an exchange that ended at `now`.
  ///
  /// - Parameter routing: What became of it by its route; nil for one that is not routed.
  mutating func append(_ exchange: some LoggedExchange, now: UInt64, isAborted: Bool, routing: RoutingNotes? = nil) {
    let text = exchange.block
    let method = text == nil ? 0 : min(exchange.method.count, Self.maximumText)
    let path = text == nil ? 0 : min(exchange.path.count, Self.maximumPath)
    let host = text == nil ? 0 : min(exchange.host.count, Self.maximumText)
    let failure = exchange.failure?.utf8CodeUnitCount ?? 0
    let limit = AccessRecord.headerSize + method + path + host + failure + (routing == nil ? 0 : 2 * Self.maximumText)
    if count + limit > Self.capacity { flush(now: now) }
    let at = buffer + count
    func put<Integer: FixedWidthInteger>(_ offset: Int, _ value: Integer) {
      at.storeBytes(of: value.littleEndian, toByteOffset: offset, as: Integer.self)
    }
    let latency = now &- exchange.startedAt
    let server = routing?.server ?? exchange.serverAddress
    let flags =
      (exchange.isDenied ? AccessRecord.deniedFlag : 0) | (isAborted ? AccessRecord.abortedFlag : 0)
      | (exchange.isAudited ? AccessRecord.auditedFlag : 0)
      | (exchange.isEgress ? AccessRecord.egressFlag : 0)
      | (exchange.isHTTP2 ? AccessRecord.http2Flag : 0)
    put(2, AccessRecord.layout)
    put(3, flags)
    put(4, exchange.rule)
    put(8, Clock.realtime() &- latency)
    put(16, latency)
    put(24, exchange.requestOctets)
    put(32, exchange.responseOctets)
    put(40, exchange.judgedBy)
    put(44, routing?.sourceIdentity ?? exchange.policy.sourceIdentity)
    put(48, routing?.destinationIdentity ?? exchange.policy.destinationIdentity)
    put(52, exchange.statusCode)
    put(54, exchange.clientAddress.port)
    put(56, server.port)
    put(58, UInt16(method))
    put(60, UInt16(path))
    put(62, UInt16(host))
    put(96, exchange.mismatches)
    put(98, UInt16(failure))
    put(100, exchange.policy.service)
    put(64, exchange.clientAddress.address.high.byteSwapped)
    put(72, exchange.clientAddress.address.low.byteSwapped)
    put(80, server.address.high.byteSwapped)
    put(88, server.address.low.byteSwapped)
    let trace = routing?.traceID ?? exchange.traceID
    put(116, trace.high)
    put(124, trace.low)
    put(104, routing?.listener ?? 0)
    put(112, routing?.dropReason ?? 0)
    put(114, routing?.retries ?? 0)
    var end = AccessRecord.headerSize
    if let text {
      memcpy(at + end, text + exchange.method.start, method)
      memcpy(at + end + method, text + exchange.path.start, path)
      memcpy(at + end + method + path, text + exchange.host.start, host)
      end += method + path + host
    }
    if let text = exchange.failure {
      memcpy(at + end, text.utf8Start, failure)
      end += failure
    }
    let (route, cluster) = routing?.write(to: at + end) ?? (0, 0)
    put(108, UInt16(route))
    put(110, UInt16(cluster))
    put(0, UInt16(end + route + cluster))
    count += end + route + cluster
    records &+= 1
    if deadline == nil { deadline = now &+ Self.patience }
  }

  /// Adds a record as it is sent.
  mutating func append(_ bytes: [UInt8], now: UInt64) {
    if count + bytes.count > Self.capacity { flush(now: now) }
    bytes.withUnsafeBytes {
      (buffer + count).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(buffer), byteCount: $0.count)
    }
    count += bytes.count
    records &+= 1
    if deadline == nil { deadline = now &+ Self.patience }
  }

  /// Sends what waits when it has waited long enough. `now` may be earlier than that of a record: time is read once for a
  /// batch of events, but for each record.
  @inline(__always)
  mutating func flushIfDue(now: UInt64) {
    if let deadline, now >= deadline { flush(now: now) }
  }

  /// Sends what waits.
  mutating func flush(now: UInt64) {
    defer {
      count = 0
      records = 0
      deadline = nil
    }
    guard count > 0 else { return }
    switch sink {
    case .none: return
    case .callback(let receive):
      receive(ProxyRecord.decode(UnsafeRawBufferPointer(start: buffer, count: count)))
    case .socket(let path):
      if fd < 0, !connect(to: path, now: now) || fd < 0 {
        counters.lostRecords.add(records)
        return
      }
      if send(fd, buffer, count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)) < 0 {
        counters.lostRecords.add(records)
        if errno != EAGAIN && errno != ENOBUFS {
          close(fd)
          fd = -1
        }
      }
    }
  }

  private mutating func connect(to path: String, now: UInt64) -> Bool {
    guard now >= retryAt else { return false }
    retryAt = now &+ 250_000_000
    let socket = Socket.connected(SOCK_DGRAM, to: path)
    guard socket >= 0 else { return false }
    fd = socket
    return true
  }
}
