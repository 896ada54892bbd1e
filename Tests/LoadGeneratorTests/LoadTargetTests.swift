import Addressing
import Testing

@testable import LoadGenerator

@Suite struct LoadTargetTests {
  @Test(arguments: [
    ("http://10.0.0.2:8080/a?b=c", "10.0.0.2", 8080, "/a?b=c", "10.0.0.2:8080"),
    ("HTTP://10.0.0.2", "10.0.0.2", 80, "/", "10.0.0.2"),
    ("http://[fd00::2]:9080/x#part", "fd00::2", 9080, "/x", "[fd00::2]:9080"),
    ("http://[fd00::2]/", "fd00::2", 80, "/", "[fd00::2]"),
    ("http://10.0.0.2:81?q", "10.0.0.2", 81, "/?q", "10.0.0.2:81"),
  ])
  func `a URL says where and what`(url: String, address: String, port: UInt16, path: String, authority: String) throws {
    let target = try LoadTarget(url: url)
    #expect(target.address == IPAddress(address))
    #expect(target.port == port)
    #expect(target.path == path)
    #expect(target.authority == authority)
  }

  @Test(arguments: [
    "", "https://10.0.0.2/", "http://", "http://:80/", "http://10.0.0.2:0/", "http://10.0.0.2:65536/",
    "http://fd00::2:80/",
    "http://[10.0.0.2]/", "http://[fd00::2]x/", "http://10.0.0.2/a b", "http://10.0.0.2:/",
  ])
  func `what is no URL of ours is refused`(url: String) {
    #expect(throws: LoadError.self) { try LoadTarget(url: url) }
  }

  @Test func `an endpoint needs its port`() throws {
    #expect(try LoadTarget(endpoint: "[::1]:7").port == 7)
    #expect(throws: LoadError.self) { try LoadTarget(endpoint: "10.0.0.2") }
  }

  @Test func `a request carries its headers once`() throws {
    var options = LoadOptions(
      target: try LoadTarget(url: "http://10.0.0.2:8080/p"),
      traffic: .http(method: "POST", headers: ["host: other", "X-A: 1"], body: [0x61]))
    options.newConnections = true
    #expect(
      String(decoding: options.request, as: UTF8.self)
        == "POST /p HTTP/1.1\r\nhost: other\r\nX-A: 1\r\nConnection: close\r\nContent-Length: 1\r\n\r\na")
  }

  @Test func `impossible loads are refused with the field's name`() throws {
    let target = try LoadTarget(url: "http://10.0.0.2/")
    let changes: [(String, (inout LoadOptions) -> Void)] = [
      ("connections", { $0.connections = 0 }), ("threads", { $0.threads = 0 }), ("rate", { $0.rate = -1 }),
      ("rate", { $0.rate = .nan }), ("duration", { $0.duration = 0 }), ("payload", { $0.traffic = .echo(bytes: 0) }),
      ("header", { $0.traffic = .http(method: "GET", headers: ["nocolon"], body: []) }),
      ("header", { $0.traffic = .http(method: "GET", headers: ["A: b\r\nC: d"], body: []) }),
      ("method", { $0.traffic = .http(method: "G T", headers: [], body: []) }),
    ]
    for (field, change) in changes {
      var options = LoadOptions(target: target, traffic: .http(method: "GET", headers: [], body: []))
      change(&options)
      let error = #expect(throws: LoadError.self) { try options.validate() }
      #expect(error?.description.hasPrefix(field) == true)
    }
  }
}
