import Foundation
import Synchronization
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct StreamingTests {
    static let size = 12_000_000

    private static func residentKilobytes() -> Int {
      let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
      return Int(line.split(separator: " ").dropFirst().first ?? "") ?? 0
    }

    @Test func largeBodiesBothWaysInConstantMemory() async throws {
      let server = try TestServer { socket, _ in
        while let head = socket.read(through: "\r\n\r\n") {
          let isUpload = head.hasPrefix("POST")
          if isUpload {
            let count = socket.drain(Self.size)
            let text = "\(count)"
            socket.write("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
          } else {
            socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            let chunk = Array("186a0\r\n".utf8) + [UInt8](repeating: 120, count: 100_000) + [13, 10]
            for _ in 0..<(Self.size / 100_000) { socket.write(chunk) }
            socket.write("0\r\n\r\n")
          }
        }
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      let piece = [UInt8](repeating: 120, count: 100_000)
      var before = 0
      for round in 0..<6 {
        client.write("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: \(Self.size)\r\n\r\n")
        for _ in 0..<(Self.size / piece.count) { client.write(piece) }
        #expect(client.readMessage()?.body == "\(Self.size)")
        client.write("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = client.read(through: "\r\n\r\n")
        let octets = (Self.size / 100_000) * 100_009 + 5
        #expect(client.drain(octets) == octets)
        if round == 1 { before = Self.residentKilobytes() }
      }
      #expect(Self.residentKilobytes() - before < 8_000)
      await proxy.stop()
    }

    @Test func aSlowReaderStopsTheServer() async throws {
      let sent = Progress()
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 400000000\r\n\r\n")
        let chunk = [UInt8](repeating: 120, count: 65536)
        var total = 0
        while total < 400_000_000, socket.write(chunk) {
          total += chunk.count
          sent.set(total)
        }
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n")
      _ = client.read(through: "\r\n\r\n")
      var last = -1
      for _ in 0..<50 where sent.value != last {
        last = sent.value
        try await Task.sleep(for: .milliseconds(100))
      }
      // What the kernel's buffers of two connections hold, and no more.
      #expect(sent.value < 40_000_000)
      #expect(client.drain(50_000_000) == 50_000_000)
      client.reset()
      await proxy.stop()
    }

    @Test func aSlowServerStopsTheClient() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.read(through: "\r\n\r\n")
        Thread.sleep(forTimeInterval: 1)
        let count = socket.drain(50_000_000)
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n\(count)")
      }
      let proxy = try TestProxy(server.address)
      let client = proxy.connect()
      client.write("POST /ok HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
      let piece = [UInt8](repeating: 120, count: 100_000)
      for _ in 0..<500 { client.write(piece) }
      #expect(client.readMessage()?.body == "50000000")
      await proxy.stop()
    }

    @Test func manyConnectionsAtOnce() async throws {
      let server = try TestServer.echo()
      let proxy = try TestProxy(server.address)
      await withTaskGroup(of: Int.self) { group in
        for number in 0..<40 {
          group.addTask {
            let client = proxy.connect()
            var good = 0
            for round in 0..<25 {
              client.write("GET /ok/\(number)/\(round) HTTP/1.1\r\nHost: a\r\n\r\n")
              if client.readMessage()?.body.hasPrefix("GET /ok/\(number)/\(round) ") == true { good += 1 }
            }
            return good
          }
        }
        var total = 0
        for await good in group { total += good }
        #expect(total == 1000)
      }
      #expect(proxy.server.statistics.requests == 1000)
      await proxy.stop()
      #expect(proxy.server.statistics.openConnections == 0)
    }
  }
}

final class Progress: Sendable {
  private let count = Atomic<Int>(0)

  var value: Int { count.load(ordering: .relaxed) }
  func set(_ value: Int) { count.store(value, ordering: .relaxed) }
}
