import ProxyRules
import Testing

@testable import Routing

/// What requests say of traces, and what servers are told.
@Suite struct TraceContextTests {
  static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
  static let span = "00f067aa0ba902b7"

  private func context(_ headers: [(String, String)]) -> TraceContext {
    var request = HTTPRequestDescription(method: "GET", path: "/")
    request.headers = headers.map { (name: $0.0, value: $0.1) }
    return request.withFacts { TraceContext($0.headers) }
  }

  @Test(arguments: [
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true),
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", false),
    ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", true),
    // A later version may have more.
    ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-follows", true),
  ]) func `a good traceparent is read`(_ value: String, _ isSampled: Bool) {
    let context = context([("traceparent", value)])
    #expect(context.traceID.text == Self.trace)
    #expect(context.spanID == 0x00f0_67aa_0ba9_02b7)
    #expect(context.isSampled == isSampled)
    #expect(context.isW3C)
  }

  @Test(arguments: [
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
    "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.more",
    "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "",
    "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
  ]) func `a bad traceparent is none`(_ value: String) {
    let context = context([("traceparent", value)])
    #expect(context.traceID.isNone && context.isSampled == nil && !context.isW3C)
    #expect(context.formats == .w3c)
  }

  @Test func `two of them are none`() {
    let value = "00-\(Self.trace)-\(Self.span)-01"
    #expect(context([("traceparent", value), ("traceparent", value)]).traceID.isNone)
  }

  @Test(arguments: [
    ("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1", true, true),
    ("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-d-05e3ac9a4f6e3b90", true, true),
    ("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", true, false),
    ("4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", true, nil), ("0", false, false), ("1", false, true),
    ("4bf92f35-00f067aa0ba902b7-1", false, nil),
  ]) func `B3 in one header`(_ value: String, _ hasTrace: Bool, _ isSampled: Bool?) {
    let context = context([("B3", value)])
    #expect(context.formats == .b3Single)
    #expect(context.traceID.text == (hasTrace ? Self.trace : String(repeating: "0", count: 32)))
    #expect(context.isSampled == isSampled)
  }

  @Test func `B3 in several headers, with short identifiers and capital letters`() {
    let context = context([
      ("X-B3-TraceId", "A3CE929D0E0E4736"), ("X-B3-SpanId", "00F067AA0BA902B7"), ("x-b3-flags", "1"),
    ])
    #expect(context.formats == .b3Multiple)
    #expect(context.traceID == TraceID(high: 0, low: 0xa3ce_929d_0e0e_4736))
    #expect(context.isSampled == true)
  }

  @Test func `servers are told the new span in the formats of the client`() {
    let parent = "00-\(Self.trace)-\(Self.span)-01"
    var next: UInt64 = 0x10
    func edits(_ headers: [(String, String)], spawns: Bool = false) -> HeaderEdits {
      let trace = ActiveTrace(context(headers), spawnsUpstreamSpan: spawns) {
        next += 1
        return next
      }
      var edits = HeaderEdits()
      trace.apply(to: &edits)
      return edits
    }
    func value(_ edits: HeaderEdits, _ name: String) -> String? {
      edits.added.first { $0.name == name }.map { String(decoding: $0.value, as: UTF8.self) }
    }
    var made = edits([("traceparent", parent), ("tracestate", "a=b")])
    #expect(value(made, "traceparent") == "00-\(Self.trace)-0000000000000011-01")
    #expect(made.removed == ["traceparent"] && made.added.count == 1)
    made = edits([("b3", "\(Self.trace)-\(Self.span)-1")], spawns: true)
    #expect(value(made, "b3") == "\(Self.trace)-0000000000000013-1-0000000000000012")
    #expect(value(made, "traceparent") == nil)
    made = edits([("x-b3-traceid", Self.trace), ("x-b3-spanid", Self.span)])
    #expect(value(made, "x-b3-spanid") == "0000000000000014")
    #expect(value(made, "x-b3-parentspanid") == Self.span)
    // A trace begins here, and what a bad traceparent had beside it is not about it.
    made = edits([("traceparent", "x"), ("tracestate", "a=b")])
    #expect(value(made, "traceparent") == "00-00000000000000150000000000000016-0000000000000017-01")
    #expect(made.removed.contains("tracestate"))
    #expect(value(edits([]), "traceparent")?.hasSuffix("-01") == true)
  }
}
