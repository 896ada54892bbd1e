import CLinux

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// The connection of one check: opened from the node's own address, as any program of the node's would, so that policies say
/// of it what they say of these.
final class CheckConnection {
  let fd: Int32
  private var exchange: CheckExchange
  private var sent = 0
  private var isConnected = false

  /// Starts to connect; the check's failure where that can not be.
  static func open(_ check: EndpointCheck) -> Result<CheckConnection, CheckError> {
    let fd = Socket.tcp(family: check.address.address.isIPv4 ? AF_INET : AF_INET6)
    guard fd >= 0 else { return .failure(CheckError(.network(-fd))) }
    let result = Socket.connect(fd, check.address)
    guard result == 0 else {
      close(fd)
      return .failure(CheckError(.network(-result)))
    }
    return .success(CheckConnection(fd, check))
  }

  private init(_ fd: Int32, _ check: EndpointCheck) {
    self.fd = fd
    exchange = CheckExchange(check)
  }

  deinit { close(fd) }

  /// Goes as far as the socket lets it.
  func drive() -> CheckExchange.Progress {
    if !isConnected {
      var error: Int32 = 0
      var length = socklen_t(MemoryLayout<Int32>.size)
      getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length)
      guard error == 0 else { return .failed(.network(error)) }
      var peer = sockaddr_storage()
      var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
      let hasPeer = withUnsafeMutablePointer(to: &peer) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(fd, $0, &size) } == 0
      }
      guard hasPeer else { return .waiting }
      isConnected = true
      let progress = exchange.connected()
      guard progress == .waiting else { return progress }
    }
    if let failure = send() { return .failed(failure) }
    return receive()
  }

  private func send() -> CheckFailure? {
    while sent < exchange.request.count {
      let result = exchange.request.withUnsafeBufferPointer { bytes -> Int in
        guard let base = bytes.baseAddress else { return 0 }
        return Socket.send(fd, base + sent, bytes.count - sent)
      }
      if result == -Int(EAGAIN) { return nil }
      guard result > 0 else { return .network(Int32(-result)) }
      sent += result
    }
    return nil
  }

  private func receive() -> CheckExchange.Progress {
    while true {
      let (count, octets) = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 4096) { buffer in
        guard let base = buffer.baseAddress else { return (0, [UInt8]()) }
        let count = Socket.receive(fd, base, buffer.count)
        return (count, count > 0 ? Array(buffer[..<count]) : [])
      }
      if count == -Int(EAGAIN) { return .waiting }
      if count == 0 { return .failed(.closed) }
      guard count > 0 else { return .failed(.network(Int32(-count))) }
      let progress = exchange.receive(octets)
      guard progress == .waiting else { return progress }
    }
  }
}

/// A check that failed before there was a connection.
struct CheckError: Error {
  let failure: CheckFailure

  init(_ failure: CheckFailure) { self.failure = failure }
}
