import Glibc
import Testing
import Threads

@testable import LoadGenerator

/// A server of names that answers each query with that query.
enum NameServer {
  /// Serves on loopback, and returns the port. Before each `period`th answer comes one to a query that nobody asked.
  static func start(code: UInt8, strangerEvery period: Int = 0) throws -> UInt16 {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    try #require(descriptor >= 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer -> UInt16? in
        guard bind(descriptor, pointer, size) == 0, getsockname(descriptor, pointer, &size) == 0 else { return nil }
        return UnsafeRawPointer(pointer).load(fromByteOffset: 2, as: UInt16.self).bigEndian
      }
    }
    DetachedThread.start { serve(descriptor, code, period) }
    return try #require(port)
  }

  private static func serve(_ descriptor: Int32, _ code: UInt8, _ period: Int) {
    var bytes = [UInt8](repeating: 0, count: 512)
    var count = 0
    while true {
      var peer = sockaddr_storage()
      var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
      withUnsafeMutablePointer(to: &peer) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { peer in
          let length = recvfrom(descriptor, &bytes, bytes.count, 0, peer, &size)
          guard length >= 12 else { return }
          count += 1
          bytes[2] |= 0x80
          bytes[3] = code
          bytes[0] ^= 0x80
          if period > 0, count % period == 0 {
            _ = sendto(descriptor, bytes, length, 0, peer, size)
          }
          bytes[0] ^= 0x80
          _ = sendto(descriptor, bytes, length, 0, peer, size)
        }
      }
    }
  }
}

extension LoadRunTests {
  private static func asking(_ port: UInt16) throws -> LoadOptions {
    var options = LoadOptions(
      target: try LoadTarget(endpoint: "127.0.0.1:\(port)"), traffic: .dns(try DNSQuestion("www.example.com")))
    options.duration = 300_000_000
    options.warmUp = 50_000_000
    return options
  }

  @Test(arguments: [false, true]) func `queries are answered, strangers' answers passed over`(newPorts: Bool)
    async throws
  {
    var options = try Self.asking(try NameServer.start(code: 3, strangerEvery: 2))
    options.newConnections = newPorts
    options.connections = 4
    options.rate = 500
    let result = try await LoadRun(options).run()
    #expect(result.answered == 150)
    #expect(result.statuses == [3: 150])
    #expect(result.failures.isEmpty)
    let document = LoadDocument(options: options, result: result).json
    #expect(document["RunType"] == "DNS")
    #expect(document["URL"]?.stringValue?.hasSuffix("/www.example.com") == true)
  }

  @Test func `a port without a name server is told`() async throws {
    var options = try Self.asking(1)
    options.rate = 100
    let result = try await LoadRun(options).run()
    #expect(result.answered == 0)
    #expect(result.failures.keys.allSatisfy { $0.hasSuffix("ECONNREFUSED") } && result.failed > 0)
  }
}
