import Addressing
import Foundation
import JSON
import TestSupport
import Testing

@testable import Proxy
@testable import Routing

extension LoopbackTests {
  /// What access logs tell of real requests.
  @Suite(.serialized) struct RoutedAccessLogTests {
    static func logger(_ path: String, _ format: JSONValue?, filter: JSONValue? = nil) -> JSONValue {
      var config: [String: JSONValue] = [
        "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", "path": .string(path),
      ]
      if let format { config["log_format"] = format }
      var log: [String: JSONValue] = ["name": "envoy.access_loggers.file", "typed_config": .object(config)]
      if let filter { log["filter"] = filter }
      return .object(log)
    }

    static func text(_ text: String) -> JSONValue { ["text_format_source": ["inline_string": .string(text + "\n")]] }

    /// The lines of a file once there are so many, or what there is after twenty seconds.
    static func lines(_ path: String, _ count: Int) async -> [String] {
      var lines: [String] = []
      for _ in 0..<2000 {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        lines = text.split(separator: "\n").map(String.init)
        if lines.count >= count { break }
        try? await Task.sleep(for: .milliseconds(10))
      }
      return lines
    }

    @Test func `text and documents`() async throws {
      let folder = try TemporaryDirectory("access-log")
      let server = try TestServer.mirror("one")
      let dead = try DeadEnd()
      let format =
        "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% "
        + "%RESPONSE_CODE_DETAILS% %BYTES_RECEIVED% %BYTES_SENT% %ROUTE_NAME% %UPSTREAM_CLUSTER% "
        + "%UPSTREAM_REQUEST_ATTEMPT_COUNT% %REQ(x-none)% %REQ(x-long):3% %RESP(x-server)% %RESP(x-added)% %TRACE_ID%"
      let document: JSONValue = [
        "json_format": [
          "code": "%RESPONSE_CODE%", "path": "%REQ(:PATH)%", "none": "%REQ(x-none)%",
          "text": "%REQ(x-none)%:%PROTOCOL%",
          "nested": ["host": "%UPSTREAM_HOST%", "list": ["%BYTES_SENT%", 1, true]], "odd": "%REQ(x-odd)%",
          "year": "%START_TIME(%Y)%", "duration": "%DURATION%",
        ]
      ]
      let proxy = try RoutedProxy(
        [
          [
            "name": "rewritten", "match": ["prefix": "/old"],
            "route": ["cluster": "default/one", "prefix_rewrite": "/new"],
            "response_headers_to_add": [["header": ["key": "x-added", "value": "yes"]]],
          ],
          ["match": ["path": "/direct"], "direct_response": ["status": 418, "body": ["inline_string": "teapot"]]],
          ["match": ["path": "/none"], "route": ["cluster": "default/none"]],
          ["match": ["path": "/dead"], "route": ["cluster": "default/two"]],
          ["match": ["prefix": "/ok"], "route": ["cluster": "default/one"]],
        ], ["default/one": [server.address], "default/two": [dead.address], "default/none": []],
        manager: [
          "access_log": [
            Self.logger("a.log", Self.text(format)), Self.logger("b.log", document), Self.logger("c.log", nil),
            Self.logger(
              "d.log", Self.text("%REQ(:PATH)%"),
              filter: [
                "or_filter": [
                  "filters": [
                    ["status_code_filter": ["comparison": ["op": "GE", "value": ["default_value": 500]]]],
                    ["header_filter": ["header": ["name": "x-odd"]]],
                  ]
                ]
              ]),
            Self.logger("e.log", Self.text("%REQ(:PATH)%"), filter: ["response_flag_filter": ["flags": ["NR"]]]),
          ]
        ], outlets: Outlets(folder: folder.path))
      let client = proxy.connect()
      let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
      #expect(client.asking("GET /old/x?q=1 HTTP/1.1\r\nHost: a\r\nX-Long: abcdef\r\n\r\n") != nil)
      #expect(
        client.asking("POST /ok HTTP/1.1\r\nHost: a\r\nX-Odd: \"\\\u{e9}\r\nContent-Length: 5\r\n\r\nhello") != nil)
      #expect(
        client.asking("GET /direct HTTP/1.1\r\nHost: a\r\ntraceparent: 00-\(trace)-00f067aa0ba902b7-01\r\n\r\n") != nil)
      #expect(client.asking("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n") != nil)
      #expect(client.asking("GET /none HTTP/1.1\r\nHost: a\r\n\r\n") != nil)
      #expect(client.asking("GET /dead HTTP/1.1\r\nHost: a\r\n\r\n") != nil)
      let all = await Self.lines(folder.path + "/default/a.log", 6)
      let sizes = all.map { $0.split(separator: " ")[8] }
      #expect(
        all == [
          "GET /old/x?q=1 /new/x?q=1 HTTP/1.1 200 - via_upstream 0 \(sizes[0]) rewritten default/one 1 - abc one yes -",
          "POST /ok /ok HTTP/1.1 200 - via_upstream 5 \(sizes[1]) - default/one 1 - - one - -",
          "GET /direct /direct HTTP/1.1 418 - direct_response 0 6 - - 0 - - - - \(trace)",
          "GET /nowhere /nowhere HTTP/1.1 404 NR route_not_found 0 \(sizes[3]) - - 0 - - - - -",
          "GET /none /none HTTP/1.1 503 UH no_healthy_upstream 0 \(sizes[4]) - default/none 1 - - - - -",
          "GET /dead /dead HTTP/1.1 503 UF upstream_reset_before_response_started{remote_connection_failure} 0 "
            + "\(sizes[5]) - default/two 1 - - - - -",
        ])
      let documents = await Self.lines(folder.path + "/default/b.log", 6)
      let parsed = try documents.map { try JSONValue(parsing: Array($0.utf8)) }
      #expect(parsed[1]["code"] == 200 && parsed[1]["none"] == .null && parsed[1]["text"] == "-:HTTP/1.1")
      #expect(parsed[1]["odd"] == "\"\\\u{e9}")
      #expect(parsed[1]["nested"]?["host"] == .string("\(server.address)"))
      #expect(parsed[1]["nested"]?["list"]?.arrayValue?.dropFirst() == [1, true])
      #expect(parsed[3]["nested"]?["host"] == .null)
      #expect(documents[1].hasPrefix("{\"code\":200,\"duration\":"))
      #expect(await Self.lines(folder.path + "/default/c.log", 6)[1].hasPrefix("[20"))
      #expect(await Self.lines(folder.path + "/default/d.log", 3) == ["/ok", "/none", "/dead"])
      #expect(await Self.lines(folder.path + "/default/e.log", 1) == ["/nowhere"])
      await proxy.stop()
      let records = await proxy.records.wait(6)
      #expect(records.map { $0.traceID.isNone ? "" : $0.traceID.text } == ["", "", trace, "", "", ""])
    }

    @Test func `heads that are too large to be kept are logged all the same`() async throws {
      let folder = try TemporaryDirectory("access-log")
      let server = try TestServer.mirror("one")
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]],
        manager: ["access_log": [Self.logger("a.log", Self.text("%REQ(:PATH)% %REQ(x-last)% %REQ(x-large):2%"))]],
        outlets: Outlets(folder: folder.path))
      let large = String(repeating: "x", count: 9000)
      #expect(proxy.ask("GET /a HTTP/1.1\r\nHost: a\r\nX-Large: \(large)\r\nX-Last: y\r\n\r\n") != nil)
      #expect(await Self.lines(folder.path + "/default/a.log", 1) == ["/a y xx"])
      await proxy.stop()
    }

    @Test func `a client that leaves is told of`() async throws {
      let folder = try TemporaryDirectory("access-log")
      let server = try TestServer { socket, _ in
        _ = socket.readMessage()
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        _ = socket.readToEnd()
      }
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [server.address]],
        manager: ["access_log": [Self.logger("a.log", Self.text("%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_SENT%"))]],
        outlets: Outlets(folder: folder.path))
      let client = proxy.connect()
      client.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      #expect(client.read(through: "abc") != nil)
      client.reset()
      shutdown(client.fd, Int32(SHUT_RDWR))
      #expect(await Self.lines(folder.path + "/default/a.log", 1) == ["200 DC 3"])
      await proxy.stop()
    }
  }
}

/// Files of access logs by themselves.
@Suite struct LogFileTests {
  private func put(_ text: String, _ count: Int, into file: LogFile) throws {
    for _ in 0..<count {
      let chunk = try #require(file.queue.take())
      var writer = HeadWriter(chunk.memory, capacity: LineChunk.capacity)
      writer.put(text.utf8)
      chunk.count = writer.count
      chunk.lines = 1
      file.queue.submit(chunk)
    }
    _ = file.work(now: 0)
  }

  private func content(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }

  @Test func `a file that is too large is renamed, and four are kept`() throws {
    let folder = try TemporaryDirectory("log-file")
    let path = folder.path + "/x.log"
    let file = LogFile(.file(path), thread: OutletThread(), limit: 10)
    for number in 0..<8 { try put("\(number)23456\n", 1, into: file) }
    #expect(content(path) == "723456\n")
    #expect((1...4).map { content("\(path).\($0)") } == ["623456\n", "523456\n", "423456\n", "323456\n"])
    #expect(content("\(path).5") == nil)
    #expect(file.queue.lines == 8 && file.queue.lost == 0)
  }

  @Test func `a file that was moved away is opened anew`() throws {
    let folder = try TemporaryDirectory("log-file")
    let path = folder.path + "/x.log"
    let file = LogFile(.file(path), thread: OutletThread())
    try put("a\n", 1, into: file)
    #expect(rename(path, path + ".old") == 0)
    try put("b\n", 1, into: file)
    #expect(content(path) == "b\n" && content(path + ".old") == "a\n")
  }

  @Test func `links and pipes are not written to`() throws {
    let folder = try TemporaryDirectory("log-file")
    let path = folder.path + "/x.log"
    #expect(symlink(folder.path + "/elsewhere", path) == 0)
    let file = LogFile(.file(path), thread: OutletThread())
    try put("a\n", 1, into: file)
    #expect(content(folder.path + "/elsewhere") == nil)
    #expect(file.queue.lost == 1)
    unlink(path)
    #expect(mkfifo(path, 0o600) == 0)
    try put("a\n", 1, into: file)
    #expect(file.queue.lost == 2)
  }

  @Test func `who finds no room loses its line`() throws {
    let folder = try TemporaryDirectory("log-file")
    let thread = OutletThread()
    final class Stuck: LineOutlet {
      let queue = LineQueue(limit: 2)
      let thread: OutletThread
      init(_ thread: OutletThread) { self.thread = thread }
      func work(now: UInt64) -> UInt64? { nil }
    }
    let outlet = Stuck(thread)
    var batches = LineBatches()
    for _ in 0..<20 { batches.append(to: outlet, now: 0) { $0.put(Array(repeating: 0x61, count: 9000)) } }
    #expect(outlet.queue.lost > 0 && outlet.queue.lost < 20)
    // A line that no chunk has room for is lost, and nothing else is.
    let file = LogFile(.file(folder.path + "/y.log"), thread: thread)
    var others = LineBatches()
    others.append(to: file, now: 0) { $0.put(Array(repeating: 0x61, count: LineChunk.capacity + 1)) }
    others.append(to: file, now: 0) { $0.put("b\n") }
    others.flush()
    _ = file.work(now: 0)
    #expect(file.queue.lost == 1)
    #expect(content(folder.path + "/y.log") == "b\n")
  }
}
