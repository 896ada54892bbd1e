import Balancing
import JSON
import ProxyRules
import Testing

@testable import Routing

@Suite struct RequestHashTests {
  private func hash(
    _ policies: [JSONValue], _ headers: [(String, String)] = [], path: String = "/"
  ) throws -> RequestHash {
    let table = try table(
      configuration(["match": ["prefix": "/"], "route": ["cluster": "c", "hash_policy": .array(policies)]]))
    let request = HTTPRequestDescription(path: path, host: "h", headers: headers.map { (name: $0.0, value: $0.1) })
    let connection = ConnectionFacts(remoteAddress: "10.0.0.1", remotePort: 7, localAddress: "fd00::1", localPort: 80)
    return request.withFacts { facts in
      let view = RequestView(facts, connection: connection)
      guard case .route(let choice) = table.choose(view, random: 0), case .forward(let action) = choice.route.action
      else { return RequestHash() }
      return action.hash(view)
    }
  }

  private static let header: JSONValue = ["header": ["header_name": "x"]]
  private static let cookie: JSONValue = ["cookie": ["name": "c", "ttl": "3s", "path": "/p"]]

  static let cases: [([JSONValue], [(String, String)], String, UInt64?)] = [
    ([], [], "/", nil),
    ([header], [], "/", nil),
    ([header], [("X", "a")], "/", XXHash64.hash("a")),
    ([header], [("X", "b"), ("x", "a")], "/", XXHash64.hash("b", seed: XXHash64.hash("a"))),
    ([["header": ["header_name": ":path"]]], [], "/a?b", XXHash64.hash("/a?b")),
    ([["query_parameter": ["name": "q"]]], [], "/?a=1&q=x&q=y", XXHash64.hash("x")),
    ([["query_parameter": ["name": "q"]]], [], "/?a=1", nil),
    ([["connection_properties": ["source_ip": true]]], [], "/", XXHash64.hash("10.0.0.1")),
    ([["cookie": ["name": "c"]]], [("cookie", "b=1; c=\"2\"; c=3")], "/", XXHash64.hash("2")),
    ([["cookie": ["name": "c"]]], [("cookie", "cc=1")], "/", nil),
    (
      [header, ["query_parameter": ["name": "q"]]], [("x", "a")], "/?q=b",
      XXHash64.hash("a").rotated ^ XXHash64.hash("b")
    ),
    (
      [["header": ["header_name": "x"], "terminal": true], ["query_parameter": ["name": "q"]]], [("x", "a")], "/?q=b",
      XXHash64.hash("a")
    ),
    (
      [["header": ["header_name": "x"], "terminal": true], ["query_parameter": ["name": "q"]]], [], "/?q=b",
      XXHash64.hash("b")
    ),
  ]

  @Test(arguments: cases.indices) func `policies`(_ index: Int) throws {
    let (policies, headers, path, expected) = RequestHashTests.cases[index]
    let found = try hash(policies, headers, path: path)
    #expect(found.value == expected && found.cookies.isEmpty)
  }

  @Test func `a cookie that is missing is made`() throws {
    let found = try hash([Self.cookie])
    let hash = String(XXHash64.hash("10.0.0.1:7[fd00::1]:80"), radix: 16)
    let value = String(repeating: "0", count: 16 - hash.count) + hash
    #expect(
      found.cookies.map { String(decoding: $0, as: UTF8.self) } == ["c=\"\(value)\"; Max-Age=3; Path=/p; HttpOnly"])
    #expect(found.value == XXHash64.hash(value))
    // What it makes is what it reads.
    #expect(try self.hash([Self.cookie], [("Cookie", "c=\(value)")]).value == found.value)
  }
}

extension UInt64 {
  fileprivate var rotated: UInt64 { self << 1 | self >> 63 }
}
