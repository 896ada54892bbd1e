import Addressing
import JSON
import Synchronization
import Testing

@testable import Proxy
@testable import Routing

extension LoopbackTests {
  /// Spans of real requests, and what servers are told of them.
  @Suite(.serialized) struct RoutedTracingTests {
    /// Takes spans, and answers each batch as it is told.
    final class Collector: Sendable {
      private struct State {
        var spans: [JSONValue] = []
        var services: Set<String> = []
        var heads: [String] = []
      }

      let server: TestServer
      private let state: SharedState

      private final class SharedState: Sendable {
        let value = Mutex(State())
      }

      init(_ answer: @escaping @Sendable (Int) -> String = { _ in response("200 OK", "{}") }) throws {
        let state = SharedState()
        self.state = state
        server = try TestServer { socket, _ in
          while let message = socket.readMessage() {
            let number = state.value.withLock { state in
              state.heads.append(message.head)
              return state.heads.count - 1
            }
            let text = answer(number)
            if text.hasPrefix("HTTP/1.1 2"), let body = try? JSONValue(parsing: Array(message.body.utf8)) {
              state.value.withLock { state in
                for resource in body["resourceSpans"]?.arrayValue ?? [] {
                  let service = resource["resource"]?["attributes"]?.arrayValue?.first
                  state.services.insert(service?["value"]?["stringValue"]?.stringValue ?? "")
                  for scope in resource["scopeSpans"]?.arrayValue ?? [] {
                    state.spans += scope["spans"]?.arrayValue ?? []
                  }
                }
              }
            }
            socket.write(text)
          }
        }
      }

      /// The spans once there are so many, or what there is after twenty seconds.
      func wait(_ count: Int) async -> [JSONValue] {
        for _ in 0..<2000 {
          let spans = state.value.withLock { $0.spans }
          if spans.count >= count { return spans }
          try? await Task.sleep(for: .milliseconds(10))
        }
        return state.value.withLock { $0.spans }
      }

      var heads: [String] { state.value.withLock { $0.heads } }
      var services: Set<String> { state.value.withLock { $0.services } }
    }

    static func tracing(_ more: [String: JSONValue] = [:]) -> [String: JSONValue] {
      var tracing = more
      tracing["provider"] = [
        "name": "otel",
        "typed_config": [
          "@type": "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig", "service_name": "shop",
          "http_service": [
            "http_uri": ["uri": "http://collector:4318/v1/traces", "cluster": "collector", "timeout": "2s"],
            "request_headers_to_add": [["header": ["key": "x-token", "value": "secret"]]],
          ],
        ],
      ]
      return ["tracing": .object(tracing)]
    }

    private func proxy(
      _ server: TestServer, _ collector: SocketAddress, _ more: [String: JSONValue] = [:], outlets: Outlets
    ) throws -> RoutedProxy {
      try RoutedProxy(
        [
          ["name": "all", "match": ["prefix": "/"], "route": ["cluster": "default/one", "prefix_rewrite": "/new"]]
        ],
        ["default/one": [server.address]], manager: Self.tracing(more),
        resources: [Routes.cluster("collector", [Routes.endpoint(collector)])], outlets: outlets)
    }

    private func field(_ name: String, in text: String) -> String? {
      text.split(separator: "\r\n").first { $0.lowercased().hasPrefix("\(name):") }
        .map { String($0.dropFirst(name.count + 1)).trimmed }
    }

    private func attribute(_ name: String, _ span: JSONValue) -> String? {
      let value = span["attributes"]?.arrayValue?.first { $0["key"]?.stringValue == name }?["value"]
      return value?["stringValue"]?.stringValue ?? value?["intValue"]?.stringValue
    }

    @Test func `the server's parent is the span, whose parent is the client's`() async throws {
      let server = try TestServer.mirror("one")
      let collector = try Collector()
      let outlets = Outlets(asksThisHost: true)
      let proxy = try proxy(
        server, collector.server.address,
        [
          "spawn_upstream_span": true,
          "custom_tags": [
            ["tag": "env", "literal": ["value": "test \"1\""]],
            ["tag": "user", "request_header": ["name": "x-user", "default_value": "nobody"]],
          ],
        ], outlets: outlets)
      let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
      let client = proxy.connect()
      let first = try #require(
        client.asking(
          "GET /a?b=c HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: t\r\nX-User: jo\r\n"
            + "traceparent: 00-\(trace)-00f067aa0ba902b7-01\r\ntracestate: k=v\r\n\r\n"))
      let second = try #require(client.asking("GET /b HTTP/1.1\r\nHost: a\r\n\r\n"))
      // Its client does not want it sampled.
      let third = try #require(
        client.asking("GET /c HTTP/1.1\r\nHost: a\r\ntraceparent: 00-\(trace)-00f067aa0ba902b7-00\r\n\r\n"))
      await proxy.stop()
      outlets.finish()
      let spans = await collector.wait(4)
      #expect(spans.count == 4)
      #expect(collector.services == ["shop"])
      #expect(collector.heads.first?.contains("POST /v1/traces HTTP/1.1\r\nHost: collector:4318\r\n") == true)
      #expect(collector.heads.first?.contains("x-token: secret\r\n") == true)
      #expect(collector.heads.first?.contains("Content-Type: application/json\r\n") == true)
      let told = try #require(field("traceparent", in: first.body)).split(separator: "-").map(String.init)
      #expect(told[1] == trace && told[3] == "01")
      #expect(field("tracestate", in: first.body) == "k=v")
      let span = spans[0]
      let upstream = spans[1]
      #expect(span["traceId"]?.stringValue == trace && upstream["traceId"]?.stringValue == trace)
      #expect(span["parentSpanId"] == "00f067aa0ba902b7")
      #expect(upstream["parentSpanId"] == span["spanId"])
      #expect(upstream["spanId"]?.stringValue == told[2])
      #expect(span["kind"] == 2 && upstream["kind"] == 3)
      #expect(span["name"] == "GET all")
      let start = try #require(span["startTimeUnixNano"]?.stringValue.flatMap { UInt64($0) })
      let end = try #require(span["endTimeUnixNano"]?.stringValue.flatMap { UInt64($0) })
      #expect(start < end && end - start < 20_000_000_000)
      for (name, value) in [
        ("http.request.method", "GET"), ("url.path", "/a"), ("url.query", "b=c"), ("url.scheme", "http"),
        ("http.response.status_code", "200"), ("server.address", "shop.example"), ("server.port", "8080"),
        ("network.protocol.version", "1.1"), ("client.address", "127.0.0.1"), ("user_agent.original", "t"),
        ("martlet.route", "all"), ("martlet.cluster", "default/one"), ("env", "test \"1\""), ("user", "jo"),
        ("martlet.upstream.port", "\(server.address.port)"), ("martlet.response_code_details", "via_upstream"),
      ] {
        #expect(attribute(name, span) == value, "\(name): \(attribute(name, span) ?? "none")")
      }
      #expect(attribute("user", spans[2]) == "nobody")
      #expect(attribute("network.peer.port", upstream) == "\(server.address.port)")
      let begun = try #require(field("traceparent", in: second.body)).split(separator: "-").map(String.init)
      #expect(spans[2]["traceId"]?.stringValue == begun[1] && spans[2]["parentSpanId"] == nil)
      #expect(field("traceparent", in: third.body) == "00-\(trace)-00f067aa0ba902b7-00")
      let records = await proxy.records.wait(3)
      #expect(records.map(\.traceID.text) == [trace, begun[1], trace])
    }

    @Test func `B3 goes on as B3, and everything as it is where nothing is traced`() async throws {
      let server = try TestServer.mirror("one")
      let collector = try Collector()
      let outlets = Outlets(asksThisHost: true)
      let traced = try proxy(server, collector.server.address, outlets: outlets)
      let plain = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]])
      let headers = "b3: 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1\r\n"
      let multiple = "X-B3-TraceId: a3ce929d0e0e4736\r\nX-B3-SpanId: 00f067aa0ba902b7\r\nX-B3-Sampled: 1\r\n"
      let request = "GET / HTTP/1.1\r\nHost: a\r\n\(headers)\(multiple)tracestate: a=b\r\n\r\n"
      let untouched = try #require(plain.ask(request)).body
      #expect(untouched.contains(headers) && untouched.contains(multiple) && untouched.contains("tracestate: a=b"))
      #expect(!untouched.contains("traceparent"))
      let rewritten = try #require(traced.ask(request)).body
      await traced.stop()
      await plain.stop()
      outlets.finish()
      let span = try #require(await collector.wait(1).first)
      let id = try #require(span["spanId"]?.stringValue)
      #expect(field("b3", in: rewritten) == "4bf92f3577b34da6a3ce929d0e0e4736-\(id)-1-00f067aa0ba902b7")
      #expect(field("x-b3-spanid", in: rewritten) == id)
      #expect(field("x-b3-parentspanid", in: rewritten) == "00f067aa0ba902b7")
      #expect(field("traceparent", in: rewritten) == nil)
      #expect(span["parentSpanId"] == "00f067aa0ba902b7")
    }

    @Test func `failures are errors, and what is not sampled is not told`() async throws {
      let dead = try DeadEnd()
      let collector = try Collector()
      let outlets = Outlets(asksThisHost: true)
      let proxy = try RoutedProxy(
        [Routes.to("default/one")], ["default/one": [dead.address]],
        manager: Self.tracing(["random_sampling": ["value": 0]]),
        resources: [Routes.cluster("collector", [Routes.endpoint(collector.server.address)])], outlets: outlets)
      let client = proxy.connect()
      for _ in 0..<20 { #expect(client.asking("GET / HTTP/1.1\r\nHost: a\r\n\r\n") != nil) }
      #expect(client.asking("GET / HTTP/1.1\r\nHost: a\r\nX-Client-Trace-Id: x\r\n\r\n") != nil)
      await proxy.stop()
      outlets.finish()
      let spans = await collector.wait(1)
      #expect(spans.count == 1)
      #expect(spans[0]["status"]?["code"] == 2)
      #expect(attribute("error.type", spans[0]) == "503")
    }

    @Test func `a collector may ask for patience`() async throws {
      let server = try TestServer.mirror("one")
      let collector = try Collector { number in
        number == 0 ? response("503 Unavailable", "", "Retry-After: 0\r\n") : response("200 OK", "{}")
      }
      let exporter = SpanExporter(
        CollectorTarget(
          place: .addresses([collector.server.address]), host: "c", path: "/v1/traces", headers: [],
          timeout: .seconds(2)), serviceName: "x")
      let chunk = try #require(exporter.queue.take())
      var writer = HeadWriter(chunk.memory, capacity: LineChunk.capacity)
      writer.put("{\"traceId\":\"1\"},")
      chunk.count = writer.count
      chunk.lines = 1
      exporter.queue.submit(chunk)
      let begin = Clock.monotonic()
      #expect(exporter.work(now: begin) == begin + 5_000_000_000)
      let again = try #require(exporter.work(now: begin + 5_000_000_000))
      #expect(exporter.counters.failed == 1)
      #expect(exporter.work(now: max(again, begin + 6_000_000_000)) == nil)
      #expect(exporter.queue.lines == 1 && exporter.queue.lost == 0)
      #expect(await collector.wait(1).count == 1)
      withExtendedLifetime(server) {}
    }

    @Test func `a collector that is gone harms no request`() async throws {
      let server = try TestServer.mirror("one")
      let dead = try DeadEnd()
      let outlets = Outlets(asksThisHost: true)
      let proxy = try proxy(server, dead.address, outlets: outlets)
      let client = proxy.connect()
      for _ in 0..<200 {
        #expect(client.asking("GET / HTTP/1.1\r\nHost: a\r\n\r\n")?.head.hasPrefix("HTTP/1.1 200") == true)
      }
      await proxy.stop()
      outlets.finish()
      let metrics = Dictionary(uniqueKeysWithValues: outlets.metrics.map { ($0.name, $0.samples) })
      #expect(metrics["martlet_trace_dropped_spans_total"]?.first?.value == 200)
      #expect(metrics["martlet_trace_spans_total"]?.first?.value == 0)
    }

    @Test func `a listener's spans go to no address of this host`() async throws {
      let server = try TestServer.mirror("one")
      let collector = try Collector()
      let outlets = Outlets()
      let proxy = try proxy(server, collector.server.address, outlets: outlets)
      #expect(proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n") != nil)
      await proxy.stop()
      outlets.finish()
      #expect(collector.heads.isEmpty)
      #expect(outlets.metrics.first { $0.name == "martlet_trace_dropped_spans_total" }?.samples.first?.value == 1)
    }

    @Test func `the node's own collector takes what listeners leave to it`() async throws {
      let server = try TestServer.mirror("one")
      let collector = try Collector()
      let settings = try NodeTracing(endpoint: "http://127.0.0.1:\(collector.server.address.port)/", percent: 100)
      #expect(settings.path == "/v1/traces")
      let outlets = Outlets(tracing: settings)
      let proxy = try RoutedProxy([Routes.to("default/one")], ["default/one": [server.address]], outlets: outlets)
      let answer = try #require(proxy.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
      await proxy.stop()
      outlets.finish()
      let span = try #require(await collector.wait(1).first)
      #expect(field("traceparent", in: answer.body)?.contains(span["spanId"]?.stringValue ?? "none") == true)
      #expect(collector.services == ["martlet"])
    }

    @Test(arguments: ["https://a", "http://", "http://a:0", "http://a:99999", "a:4318", "http://a@b:1", "http://a/?x"])
    func `an endpoint that is none is refused`(_ endpoint: String) {
      #expect(throws: NodeTracingError.self) { try NodeTracing(endpoint: endpoint, percent: 100) }
    }
  }
}

extension String {
  fileprivate var trimmed: String {
    var rest = self[...]
    while rest.first == " " { rest = rest.dropFirst() }
    return String(rest)
  }
}
