import Addressing
import Foundation
import JSON
import TestSupport
import Testing

@testable import Proxy
@testable import Routing

extension LoopbackTests {
  /// The same formats, filters and requests for Envoy and for us: the lines must be the same.
  @Suite(.serialized, .enabled(if: EnvoyLogger.program != nil, "MARTLET_ENVOY names no Envoy"))
  struct EnvoyAccessLogTests {
    static let operators = [
      "%REQ(:METHOD)%", "%REQ(:PATH)%", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "%REQ(:AUTHORITY)%", "%REQ(:SCHEME)%",
      "%REQ(x-a)%", "%REQ(x-a):2%", "%REQ(x-none?x-b)%", "%REQ(x-none?x-other)%", "%REQ(accept)%", "%REQ(cookie)%",
      "%REQ(content-length)%", "%RESP(x-server)%", "%RESP(x-twice)%", "%RESP(x-added)%",
      "%RESP(x-none?x-server):3%", "%PROTOCOL%", "%RESPONSE_CODE%", "%RESPONSE_FLAGS%", "%RESPONSE_FLAGS_LONG%",
      "%BYTES_RECEIVED%", "%UPSTREAM_CLUSTER_RAW%", "%ROUTE_NAME%", "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
      "%REQUESTED_SERVER_NAME%", "100%%", "%START_TIME(%%)%", "%START_TIME(x)%",
      "%UPSTREAM_HOST%", "%UPSTREAM_REMOTE_PORT%", "%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    ]

    static let loggers: [JSONValue] = {
      var document: [String: JSONValue] = [
        "n": 1.5, "t": true, "z": .null, "s": "plain", "l": ["%PROTOCOL%", ["%REQ(x-none)%"]],
      ]
      for (index, name) in operators.enumerated() {
        document["v\(index)"] = .string(name)
        document["m\(index)"] = .string("<\(name)|\(name)>")
      }
      let nested: JSONValue = [
        "a": ["b": "%REQ(x-none)%", "c": "%RESPONSE_CODE%"], "d": "%REQ(x-none)%", "e": "-%REQ(x-none)%-",
        "f": ["%REQ(x-none)%"],
        "g": ["h": "%REQ(x-none)%"],
      ]
      func filtered(_ name: String, _ filter: JSONValue) -> JSONValue {
        RoutedAccessLogTests.logger(name, RoutedAccessLogTests.text("%REQ(:METHOD)% %REQ(:PATH)%"), filter: filter)
      }
      func status(_ op: String, _ value: Int64) -> JSONValue {
        let number: JSONValue = ["default_value": .integer(value), "runtime_key": "k"]
        return ["status_code_filter": ["comparison": ["op": .string(op), "value": number]]]
      }
      let header: JSONValue = ["header_filter": ["header": ["name": "x-a", "string_match": ["prefix": "a"]]]]
      return [
        RoutedAccessLogTests.logger("text", RoutedAccessLogTests.text(operators.joined(separator: " ; "))),
        RoutedAccessLogTests.logger("document", ["json_format": .object(document)]),
        RoutedAccessLogTests.logger("omitting", ["json_format": nested, "omit_empty_values": true]),
        RoutedAccessLogTests.logger(
          "omitting-text",
          [
            "text_format_source": ["inline_string": "%REQ(x-none)%|%REQ(x-a)%|%RESPONSE_FLAGS%\n"],
            "omit_empty_values": true,
          ]),
        RoutedAccessLogTests.logger(
          "bytes", RoutedAccessLogTests.text("%BYTES_SENT% %RESPONSE_CODE_DETAILS%"), filter: status("LE", 301)),
        filtered("ge", status("GE", 400)), filtered("eq", status("EQ", 404)), filtered("ne", status("NE", 200)),
        filtered("header", header), filtered("flags", ["response_flag_filter": [:]]),
        filtered("flag", ["response_flag_filter": ["flags": ["NR", "URX", "LH"]]]),
        filtered("and", ["and_filter": ["filters": [header, status("GE", 400)]]]),
        filtered("or", ["or_filter": ["filters": [header, status("GE", 500)]]]),
        filtered("health", ["not_health_check_filter": [:]]), filtered("trace", ["traceable_filter": [:]]),
        filtered("none", ["runtime_filter": ["runtime_key": "k", "percent_sampled": ["numerator": 0]]]),
        filtered("all", ["runtime_filter": ["runtime_key": "k", "percent_sampled": ["numerator": 100]]]),
        filtered(
          "slow",
          ["duration_filter": ["comparison": ["op": "GE", "value": ["default_value": 100_000, "runtime_key": "k"]]]]),
      ]
    }()

    static let routes: JSONValue = [
      [
        "name": "rewritten", "match": ["prefix": "/old"],
        "route": ["cluster": "default/one", "prefix_rewrite": "/new"],
        "response_headers_to_add": [["header": ["key": "x-added", "value": "%REQ(x-a)%"]]],
        "request_headers_to_add": [["header": ["key": "x-b", "value": "added"]]],
        "request_headers_to_remove": ["cookie"],
      ],
      ["match": ["path": "/direct"], "direct_response": ["status": 418, "body": ["inline_string": "teapot"]]],
      ["match": ["path": "/redirect"], "redirect": ["path_redirect": "/to"]],
      ["match": ["path": "/host"], "route": ["cluster": "default/one", "host_rewrite_literal": "other"]],
      ["match": ["path": "/dead"], "route": ["cluster": "default/two"]],
      ["match": ["path": "/empty"], "route": ["cluster": "default/none"]],
      [
        "name": "again", "match": ["path": "/failing"],
        "route": ["cluster": "failing", "retry_policy": ["retry_on": "5xx", "num_retries": 2]],
      ],
      ["match": ["path": "/failed"], "route": ["cluster": "failing"]],
      ["match": ["prefix": "/ok"], "route": ["cluster": "default/one"]],
    ]

    static let requests: [String] = {
      var requests: [String] = []
      let headers = [
        "", "x-a: abc\r\n", "X-A: zzz\r\nx-b: b\r\n", "x-a: a\r\nx-a: b\r\naccept: text/html\r\naccept: */*\r\n",
        "cookie: a=b\r\nx-b: \"q\" \\ \u{e9}\r\n", "x-a: \r\n",
      ]
      for path in [
        "/old", "/old/x?y=z", "/direct", "/redirect", "/host", "/dead", "/empty", "/failing", "/failed", "/ok",
        "/ok?a=\"b\"", "/nowhere",
      ] {
        for header in headers {
          requests.append("GET \(path) HTTP/1.1\r\nHost: a.example\r\n\(header)\r\n")
          requests.append("POST \(path) HTTP/1.1\r\nHost: a.example:80\r\n\(header)Content-Length: 5\r\n\r\nhello")
        }
        requests.append(
          "PUT \(path) HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n")
      }
      return requests
    }()

    @Test func `lines are Envoy's`() async throws {
      let mirror = try TestServer { socket, _ in
        while let line = socket.read(through: "\r\n\r\n") {
          if line.lowercased().contains("content-length: 5") { _ = socket.read(count: 5) }
          if line.lowercased().contains("transfer-encoding: chunked") { _ = socket.read(through: "0\r\n\r\n") }
          socket.write(response("200 OK", "hello world", "X-Server: one\r\nX-Twice: a\r\nX-Twice: b\r\n"))
        }
      }
      let failing = try TestServer { socket, _ in
        while let line = socket.read(through: "\r\n\r\n") {
          if line.lowercased().contains("content-length: 5") { _ = socket.read(count: 5) }
          if line.lowercased().contains("transfer-encoding: chunked") { _ = socket.read(through: "0\r\n\r\n") }
          socket.write(response("503 No", "no"))
        }
      }
      let dead = try DeadEnd()
      let clusters = ["default/one": [mirror.address], "default/two": [dead.address], "default/none": []]
      let declared = Routes.cluster("failing", [Routes.endpoint(failing.address)])
      let ours = try TemporaryDirectory("access-log")
      let theirs = try TemporaryDirectory("access-log")
      let proxy = try RoutedProxy(
        Self.routes, clusters, manager: ["access_log": .array(Self.loggers)], resources: [declared],
        outlets: Outlets(folder: ours.path))
      let envoy = try EnvoyLogger(
        Self.routes, clusters.merging(["failing": [failing.address]]) { $1 }, Self.loggers, folder: theirs.path)
      for request in Self.requests {
        #expect(proxy.ask(request) != nil, "\(request)")
        #expect(envoy.ask(request) != nil, "\(request)")
      }
      await proxy.stop()
      let count = Self.requests.count
      _ = await RoutedAccessLogTests.lines(ours.path + "/default/text", count)
      var compared = 0
      for logger in Self.loggers {
        let name = try #require(logger["typed_config"]?["path"]?.stringValue)
        let our = await RoutedAccessLogTests.lines(ours.path + "/default/" + name, 0)
        let their = await RoutedAccessLogTests.lines(theirs.path + "/" + name, our.count)
        #expect(our.count == their.count, "\(name): \(our.count) lines, Envoy's \(their.count)")
        let isDocument = logger["typed_config"]?["log_format"]?["json_format"] != nil
        for (our, their) in zip(our, their) {
          compared += 1
          if isDocument {
            let (our, their) = (try JSONValue(parsing: Array(our.utf8)), try JSONValue(parsing: Array(their.utf8)))
            #expect(our == their, "\(name): \(difference(our, their))")
          } else if our != their {
            Issue.record("\(name):\n  we:    \(our)\n  Envoy: \(their)")
          }
        }
      }
      envoy.end()
      print("access logs are as Envoy's: \(compared) lines alike")
      #expect(compared > count * 5)
    }

    private func difference(_ our: JSONValue, _ their: JSONValue) -> String {
      guard let left = our.objectValue, let right = their.objectValue else { return "\(our.text()) \(their.text())" }
      let keys = Set(left.keys).union(right.keys).filter { left[$0] != right[$0] }.sorted()
      return keys.map { key in
        let (our, their) = (left[key]?.text() ?? "absent", right[key]?.text() ?? "absent")
        return "\(key): \(our), Envoy: \(their)"
      }.joined(separator: "; ")
    }
  }
}

/// An Envoy that writes access logs.
final class EnvoyLogger {
  static let program = ProcessInfo.processInfo.environment["MARTLET_ENVOY"].flatMap { $0.isEmpty ? nil : $0 }

  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  private let process = Process()
  private let socket: String

  init(
    _ routes: JSONValue, _ clusters: [String: [SocketAddress]], _ loggers: [JSONValue], folder: String
  ) throws {
    socket = folder + "/socket"
    let manager: JSONValue = [
      "@type":
        "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
      "stat_prefix": "l", "generate_request_id": false, "codec_type": "HTTP1",
      "route_config": ["name": "routes", "virtual_hosts": [["name": "all", "domains": ["*"], "routes": routes]]],
      "access_log": .array(
        loggers.map { logger in
          var logger = logger
          let name = logger["typed_config"]?["path"]?.stringValue ?? ""
          logger["typed_config"]?["path"] = .string(folder + "/" + name)
          return logger
        }),
      "http_filters": [
        [
          "name": "router",
          "typed_config": ["@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"],
        ]
      ],
    ]
    let listener: JSONValue = [
      "name": "l", "address": ["pipe": ["path": .string(socket)]], "enable_reuse_port": false,
      "filter_chains": [["filters": [["name": "http", "typed_config": manager]]]],
    ]
    let document: JSONValue = [
      "static_resources": [
        "listeners": [listener],
        "clusters": .array(
          clusters.map { name, addresses in
            var cluster = Routes.cluster(name, addresses.map { Routes.endpoint($0) })
            cluster["@type"] = nil
            return cluster
          }),
      ]
    ]
    try Data(document.serialized()).write(to: URL(filePath: folder + "/envoy.json"))
    process.executableURL = URL(filePath: Self.program ?? "")
    process.arguments = [
      "-c", folder + "/envoy.json", "--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "--log-path",
      folder + "/log", "--file-flush-interval-msec", "50",
    ]
    process.standardError = FileHandle(forWritingAtPath: "/dev/null")
    process.standardOutput = FileHandle(forWritingAtPath: "/dev/null")
    try process.run()
    let deadline = Date.now.addingTimeInterval(60)
    while connect() == nil {
      guard process.isRunning, Date.now < deadline else {
        end()
        throw Failure(
          description: "Envoy does not serve: \((try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "")")
      }
      usleep(20_000)
    }
  }

  private func connect() -> TestSocket? {
    let fd = Proxy.Socket.connected(SOCK_STREAM, to: socket)
    return fd < 0 ? nil : TestSocket(adopting: fd)
  }

  func ask(_ request: String) -> (head: String, body: String)? { connect()?.asking(request) }

  func end() {
    guard process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  deinit { end() }
}
