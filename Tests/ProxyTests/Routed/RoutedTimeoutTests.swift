import Addressing
import Foundation
import JSON
import Testing

@testable import Proxy

extension LoopbackTests {
  @Suite(.serialized) struct RoutedTimeoutTests {
    static let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

    private static func milliseconds(_ body: () -> Void) -> Double {
      let start = Clock.monotonic()
      body()
      return Double(Clock.monotonic() - start) / 1_000_000
    }

    @Test func `a route's time is over before the answer`() async throws {
      let server = try TestServer { socket, _ in _ = socket.readToEnd() }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["timeout": "0.1s"])], ["default/one": [server.address]])
      let client = proxy.connect()
      for _ in 0..<3 {
        let time = Self.milliseconds {
          #expect(client.asking(Self.get)?.head.hasPrefix("HTTP/1.1 504 ") == true)
        }
        #expect(time >= 99 && time < 1000)
      }
      #expect(proxy.server.statistics.timeouts == 3)
      await proxy.stop()
    }

    @Test func `a route's time is over in the middle of the answer`() async throws {
      let server = try TestServer { socket, _ in
        _ = socket.readMessage()
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        _ = socket.readToEnd()
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["timeout": "0.1s"])], ["default/one": [server.address]])
      let client = proxy.connect()
      client.write(Self.get)
      #expect(client.readToEnd().hasSuffix("half"))
      #expect(await proxy.records.wait(1).first?.isAborted == true)
      await proxy.stop()
    }

    /// The client's own pace does not count.
    @Test func `a route's time begins with the end of the request`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["timeout": "0.1s"])], ["default/one": [one.address]])
      let client = proxy.connect()
      client.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
      usleep(300_000)
      client.write("cd")
      #expect(client.readMessage()?.head.hasPrefix("HTTP/1.1 200 ") == true)
      await proxy.stop()
    }

    @Test func `zero is no limit`() async throws {
      let (server, _) = try TestServer.script { _, _, _ in
        usleep(300_000)
        return response("200 OK", "late")
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["timeout": "0s", "idle_timeout": "0s"])], ["default/one": [server.address]])
      #expect(proxy.ask(Self.get)?.body == "late")
      await proxy.stop()
    }

    @Test func `an attempt's time`() async throws {
      let (server, count) = try TestServer.script { number, _, _ in
        if number == 0 { usleep(2_000_000) }
        return response("200 OK", "\(number)")
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["retry_policy": ["retry_on": "5xx", "per_try_timeout": "0.1s"]])],
        ["default/one": [server.address]])
      let time = Self.milliseconds { #expect(proxy.ask(Self.get)?.body == "1") }
      #expect(time >= 99 && time < 1500)
      #expect(count() == 2)
      await proxy.stop()
    }

    @Test func `all attempts share the route's time`() async throws {
      let server = try TestServer { socket, _ in _ = socket.readToEnd() }
      let proxy = try RoutedProxy(
        [
          Routes.to(
            "default/one",
            ["timeout": "0.25s", "retry_policy": ["retry_on": "5xx", "num_retries": 9, "per_try_timeout": "0.1s"]])
        ], ["default/one": [server.address]])
      let time = Self.milliseconds {
        #expect(proxy.ask(Self.get)?.head.hasPrefix("HTTP/1.1 504 ") == true)
      }
      #expect(time >= 249 && time < 1000)
      await proxy.stop()
    }

    @Test func `nobody says anything`() async throws {
      let server = try TestServer { socket, _ in _ = socket.readToEnd() }
      let proxy = try RoutedProxy(
        [Routes.to("default/one", ["timeout": "0s", "idle_timeout": "0.1s"])], ["default/one": [server.address]])
      #expect(proxy.ask(Self.get)?.head.hasPrefix("HTTP/1.1 504 ") == true)
      let slow = proxy.connect()
      slow.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
      #expect(slow.readToEnd().hasPrefix("HTTP/1.1 408 "))
      await proxy.stop()
    }

    @Test func `the time of a request, of a head and between requests`() async throws {
      let one = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [one.address]],
        manager: [
          "request_timeout": "0.2s", "request_headers_timeout": "0.1s",
          "common_http_protocol_options": ["idle_timeout": "0.3s"],
        ])
      let slow = proxy.connect()
      slow.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123")
      #expect(slow.readToEnd().hasPrefix("HTTP/1.1 408 "))
      let head = proxy.connect()
      head.write("GET / HT")
      #expect(head.readToEnd().hasPrefix("HTTP/1.1 408 "))
      let idle = proxy.connect()
      #expect(idle.asking(Self.get) != nil)
      let time = Self.milliseconds { #expect(idle.readToEnd() == "") }
      #expect(time >= 290 && time < 2000)
      await proxy.stop()
    }

    /// A listener whose queue is full drops what comes.
    @Test func `a connection that does not come about`() async throws {
      let full = try Listener(SocketAddress(IPAddress("127.0.0.1")!, port: 0), backlog: 0)
      defer { close(full.fd) }
      let fillers = (0..<3).map { _ in
        let fd = Proxy.Socket.tcp(family: AF_INET)
        _ = Proxy.Socket.connect(fd, full.address)
        return fd
      }
      defer { for fd in fillers { close(fd) } }
      usleep(50_000)
      let cluster = Routes.cluster("fixed", [Routes.endpoint(full.address)], ["connect_timeout": "0.1s"])
      let proxy = try RoutedProxy([Routes.to("fixed")], [:], resources: [cluster])
      let time = Self.milliseconds {
        let answer = proxy.ask(Self.get)
        #expect(answer?.head.hasPrefix("HTTP/1.1 503 ") == true)
        #expect(answer?.body == "the server did not take the connection in time\n")
      }
      #expect(time >= 99 && time < 1000)
      await proxy.stop()
    }
  }
}
