import Glibc
import JSON
import Services
import Testing

@testable import Agent

struct HealthCheckTests {
  private func check(_ localEndpoints: Int, isInForce: Bool = true, _ name: String = "web") -> HealthCheckAnswer {
    HealthCheckAnswer(
      service: ServiceName(namespace: "shop", name: name), localEndpoints: localEndpoints, isInForce: isInForce)
  }

  @Test(arguments: [(2, true, "200"), (0, true, "503"), (2, false, "503")])
  func answers(_ localEndpoints: Int, _ isInForce: Bool, _ status: String) throws {
    let answer = String(
      decoding: check(localEndpoints, isInForce: isInForce).bytes(to: Array("GET /healthz HTTP/1.1\r\n\r\n".utf8)),
      as: UTF8.self)
    #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
    #expect(answer.contains("\r\nX-Load-Balancing-Endpoint-Weight: \(localEndpoints)\r\n"))
    let end = try #require(answer.ranges(of: "\r\n\r\n").first)
    let body = try JSONValue(parsing: String(answer[end.upperBound...]))
    #expect(
      body == [
        "service": ["namespace": "shop", "name": "web"], "localEndpoints": .integer(Int64(localEndpoints)),
        "serviceProxyHealthy": .bool(isInForce),
      ])
  }

  @Test func otherMethods() {
    let head = String(decoding: check(1).bytes(to: Array("HEAD / HTTP/1.1\r\n\r\n".utf8)), as: UTF8.self)
    #expect(head.hasPrefix("HTTP/1.1 200 ") && head.hasSuffix("\r\n\r\n"))
    let post = String(decoding: check(1).bytes(to: Array("POST / HTTP/1.1\r\n\r\n".utf8)), as: UTF8.self)
    #expect(post.hasPrefix("HTTP/1.1 405 "))
  }

  /// The status of an answer at a port of the loopback address; nil when nobody listens.
  private func ask(_ port: UInt16, _ request: String = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ipv6: Bool = false)
    -> String?
  {
    let descriptor = socket(ipv6 ? AF_INET6 : AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var patience = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var four = sockaddr_in()
    four.sin_family = sa_family_t(AF_INET)
    four.sin_port = port.bigEndian
    four.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var six = sockaddr_in6()
    six.sin6_family = sa_family_t(AF_INET6)
    six.sin6_port = port.bigEndian
    six.sin6_addr = in6addr_loopback
    let connected =
      ipv6
      ? withUnsafePointer(to: six) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, 28) }
      }
      : withUnsafePointer(to: four) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, 16) }
      }
    guard connected == 0 else { return nil }
    let bytes = Array(request.utf8)
    send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    var answer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &answer, answer.count, 0)
    return count > 12 ? String(decoding: answer[9..<12], as: UTF8.self) : "none"
  }

  private func becomes(_ status: String?, _ port: UInt16, ipv6: Bool = false) -> Bool {
    for _ in 0..<500 {
      if ask(port, ipv6: ipv6) == status { return true }
      usleep(10_000)
    }
    return false
  }

  @Test func portsFollowTheServices() throws {
    let server = HealthCheckServer()
    let base = UInt16(20_000 + Int(getpid()) % 10_000)
    let (first, second) = (base, base + 1)
    server.set([first: check(1)])
    #expect(becomes("200", first))
    #expect(becomes("200", first, ipv6: true))
    server.set([first: check(0), second: check(3, "api")])
    #expect(becomes("200", second))
    #expect(becomes("503", first))
    // One that says nothing keeps nobody waiting.
    let silent = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(silent) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = second.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    _ = withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(silent, $0, 16) }
    }
    #expect(ask(second) == "200")
    server.set([second: check(3, "api")])
    #expect(becomes(nil, first))
    // Taken by another process's server.
    let other = HealthCheckServer()
    other.set([second: check(1)])
    for _ in 0..<2000 where other.problems.isEmpty { usleep(10_000) }
    #expect(other.problems.values.first?.contains("Address already in use") == true, "\(other.problems)")
    server.set([:])
    #expect(becomes(nil, second) || becomes("200", second))
    other.set([second: check(1), first: check(1)])
    #expect(becomes("200", second))
    other.set([:])
    #expect(becomes(nil, second))
    server.set([first: check(1)])
    #expect(becomes("200", first), "it starts again")
    server.set([:])
  }
}
