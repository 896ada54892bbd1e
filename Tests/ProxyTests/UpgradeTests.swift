import Addressing
import Foundation
import JSON
import Testing

@testable import Proxy

extension LoopbackTests {
  /// A change of protocol must not carry what comes later past the rules.
  @Suite(.serialized) struct UpgradeTests {
    private static func request(_ path: String, _ lines: [String]) -> String {
      "GET \(path) HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n" + lines.map { "Upgrade: \($0)\r\n" }.joined()
        + "\r\n"
    }

    /// Goes over to whatever it is asked for, HTTP/2 first.
    private static func willing() throws -> TestServer {
      try TestServer { socket, _ in
        guard let head = socket.read(through: "\r\n\r\n")?.lowercased() else { return }
        guard head.contains("upgrade:") else {
          socket.write(response("200 OK", "plain"))
          return
        }
        let name = head.contains("h2c") ? "h2c" : head.contains("foo") ? "foo" : "websocket"
        socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: \(name)\r\n\r\n")
        _ = socket.readToEnd()
      }
    }

    @Test(arguments: [
      ["h2c"], ["h2c", "websocket"], ["websocket", "h2c"], ["websocket, h2c"], ["h2c , websocket"],
      ["foo", "bar,,H2C-14", "websocket"],
    ])
    func `no element of any line leads to HTTP/2`(_ lines: [String]) async throws {
      let server = try Self.willing()
      let proxy = try TestProxy(server.address)
      let answer = proxy.connect().asking(Self.request("/ws", lines))
      #expect(answer?.head.hasPrefix("HTTP/1.1 200 ") == true && answer?.body == "plain", "\(answer?.head ?? "")")
      await proxy.stop()
    }

    @Test(arguments: [
      (["websocket"], "101"), (["WebSocket", "websocket"], "101"), (["websocket, websocket"], "101"),
      (["websocket", "foo"], "403"), (["foo", "websocket"], "403"), (["websocket, foo"], "403"), ([""], "403"),
      (["websocket", "h2c"], "200"), (["h2c", "websocket"], "200"),
    ])
    func `every element of every line has to be allowed`(_ lines: [String], _ status: String) async throws {
      let server = try Self.willing()
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]],
        manager: ["upgrade_configs": [["upgrade_type": "websocket"]]])
      let client = proxy.connect()
      client.write(Self.request("/ws", lines))
      #expect(client.read(through: "\r\n\r\n")?.dropFirst(9).prefix(3) == status[...])
      await proxy.stop()
    }
  }
}
