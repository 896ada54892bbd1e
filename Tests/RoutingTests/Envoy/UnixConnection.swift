import Foundation

/// A stream socket that blocks, with what was read of it and not yet used.
final class UnixConnection {
  struct Closed: Error {}

  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var start = 0

  init(descriptor: Int32) { self.descriptor = descriptor }

  init(to path: String) throws {
    descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    guard UnixConnection.withAddress(path, { connect(descriptor, $0, $1) }) == 0 else {
      close(descriptor)
      throw Closed()
    }
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(descriptor) }

  /// Calls `body` with a listening socket's or a connection's address.
  static func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
    return withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }

  func write(_ bytes: [UInt8]) throws {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(descriptor, $0.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { throw Closed() }
      sent += count
    }
  }

  /// A message's head with the empty line behind it.
  func head() throws -> [UInt8] {
    var searched = start
    while true {
      let end = buffer.withUnsafeBytes { UnixConnection.emptyLine($0, from: &searched) }
      if let end {
        defer { start = end }
        return Array(buffer[start..<end])
      }
      let distance = searched - start
      try fill()
      searched = start + distance
    }
  }

  /// Where the first empty line ends at or behind `searched`, which moves to where to look when there is more.
  private static func emptyLine(_ bytes: UnsafeRawBufferPointer, from searched: inout Int) -> Int? {
    while searched < bytes.count, let base = bytes.baseAddress,
      let found = memchr(base + searched, 0x0D, bytes.count - searched)
    {
      let place = UnsafeRawPointer(found) - base
      searched = place
      guard place + 4 <= bytes.count else { return nil }
      if bytes[place + 1] == 0x0A, bytes[place + 2] == 0x0D, bytes[place + 3] == 0x0A { return place + 4 }
      searched = place + 1
    }
    return nil
  }

  func bytes(_ count: Int) throws -> [UInt8] {
    while buffer.count - start < count { try fill() }
    defer { start += count }
    return Array(buffer[start..<start + count])
  }

  private func fill() throws {
    if start > 0 {
      buffer.removeFirst(start)
      start = 0
    }
    let count = withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 1) { space in
      let count = recv(descriptor, space.baseAddress, space.count, 0)
      if count > 0 { buffer.append(contentsOf: UnsafeRawBufferPointer(rebasing: space[..<count])) }
      return count
    }
    guard count > 0 else { throw Closed() }
  }
}

/// The head of a request or a response.
struct Head: Hashable {
  var line: String
  /// Names in lower case; the values of all lines of a name, joined by commas.
  var headers: [String: String]

  init(_ bytes: [UInt8]) {
    var lines = bytes.split(separator: UInt8(ascii: "\n")).map { line in
      String(decoding: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
    }
    line = lines.removeFirst()
    headers = [:]
    for line in lines where !line.isEmpty {
      let parts = line.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2 else { continue }
      let value = parts[1].drop { $0 == " " }
      headers[parts[0].lowercased(), default: "\0"] += "," + value
    }
    headers = headers.mapValues { String($0.dropFirst(2)) }
  }
}
