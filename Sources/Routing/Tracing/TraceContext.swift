public import ProxyRules

/// What a request says of the trace that it belongs to: W3C's `traceparent`, or Zipkin's B3 in one header or in several
/// (https://www.w3.org/TR/trace-context/, https://github.com/openzipkin/b3-propagation).
public struct TraceContext: Hashable, Sendable {
  public struct Formats: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let w3c = Formats(rawValue: 1)
    public static let b3Single = Formats(rawValue: 2)
    public static let b3Multiple = Formats(rawValue: 4)
  }

  /// In which its headers came, good or not.
  public private(set) var formats: Formats = []
  /// None where nothing says it.
  public private(set) var traceID = TraceID.none
  /// Of the span that the request was sent in; 0 for none.
  public private(set) var spanID: UInt64 = 0
  /// nil where the sender leaves it to others.
  public private(set) var isSampled: Bool?
  /// `traceparent` is a good one, and what `tracestate` says is about it.
  public private(set) var isW3C = false

  public init(_ headers: UnsafeBufferPointer<HTTPHeaderFacts>) {
    var parent: UnsafeRawBufferPointer?
    var parents = 0
    var single: UnsafeRawBufferPointer?
    var multiple = Multiple()
    for header in headers {
      switch header.name.count {
      case 11 where RequestView.isName(header.name, TraceContext.parentName):
        parent = header.value
        parents += 1
      case 2 where RequestView.isName(header.name, TraceContext.singleName): single = header.value
      case 9...17 where multiple.take(header): continue
      default: continue
      }
    }
    if parents > 0 { formats.insert(.w3c) }
    if single != nil { formats.insert(.b3Single) }
    if multiple.isPresent { formats.insert(.b3Multiple) }
    if let parent, parents == 1, readParent(parent) {
      isW3C = true
    } else if single.map({ readSingle($0) }) != true {
      read(multiple)
    }
  }

  /// The trace of a `traceparent`; none for one that is no good.
  public static func traceID(ofParent value: UnsafeRawBufferPointer) -> TraceID {
    var context = TraceContext(UnsafeBufferPointer(start: nil, count: 0))
    return context.readParent(value) ? context.traceID : .none
  }

  public static let parentName = Array("traceparent".utf8)
  private static let singleName = Array("b3".utf8)

  /// `00-TRACE-SPAN-FLAGS`; later versions may have more behind it.
  private mutating func readParent(_ text: UnsafeRawBufferPointer) -> Bool {
    let dash = UInt8(ascii: "-")
    guard text.count >= 55, text[2] == dash, text[35] == dash, text[52] == dash,
      let version = UInt64(hexadecimal: text[0..<2], allowsCapitals: false), version != 0xFF,
      text.count == 55 || version > 0 && text[55] == dash,
      let high = UInt64(hexadecimal: text[3..<19], allowsCapitals: false),
      let low = UInt64(hexadecimal: text[19..<35], allowsCapitals: false),
      let span = UInt64(hexadecimal: text[36..<52], allowsCapitals: false),
      let flags = UInt64(hexadecimal: text[53..<55], allowsCapitals: false), high | low != 0, span != 0
    else { return false }
    traceID = TraceID(high: high, low: low)
    spanID = span
    isSampled = flags & 1 == 1
    return true
  }

  /// `TRACE-SPAN`, `TRACE-SPAN-STATE`, `TRACE-SPAN-STATE-PARENT`, or the state alone.
  private mutating func readSingle(_ text: UnsafeRawBufferPointer) -> Bool {
    let parts = text.split(separator: UInt8(ascii: "-"), maxSplits: 3, omittingEmptySubsequences: false)
    if parts.count == 1 {
      isSampled = TraceContext.state(parts[0])
      return isSampled != nil
    }
    guard let trace = TraceContext.trace(parts[0]), parts[1].count == 16,
      let span = UInt64(hexadecimal: parts[1], allowsCapitals: true), span != 0
    else { return false }
    traceID = trace
    spanID = span
    if parts.count > 2 { isSampled = TraceContext.state(parts[2]) }
    return true
  }

  private mutating func read(_ multiple: Multiple) {
    if let flags = multiple.flags, flags.elementsEqual("1".utf8) { isSampled = true }
    if isSampled == nil, let sampled = multiple.sampled { isSampled = TraceContext.state(sampled[...]) }
    guard let trace = multiple.trace.flatMap({ TraceContext.trace($0[...]) }), let text = multiple.span,
      text.count == 16, let span = UInt64(hexadecimal: text, allowsCapitals: true), span != 0
    else { return }
    traceID = trace
    spanID = span
  }

  /// 16 or 32 digits.
  private static func trace(_ text: Slice<UnsafeRawBufferPointer>) -> TraceID? {
    guard text.count == 16 || text.count == 32,
      let high = text.count == 16 ? 0 : UInt64(hexadecimal: text.prefix(16), allowsCapitals: true),
      let low = UInt64(hexadecimal: text.suffix(16), allowsCapitals: true), high | low != 0
    else { return nil }
    return TraceID(high: high, low: low)
  }

  private static func state(_ text: Slice<UnsafeRawBufferPointer>) -> Bool? {
    if text.elementsEqual("1".utf8) || text.elementsEqual("d".utf8) || text.elementsEqual("true".utf8) { return true }
    return text.elementsEqual("0".utf8) || text.elementsEqual("false".utf8) ? false : nil
  }

  /// The headers of B3's older form.
  private struct Multiple {
    var trace: UnsafeRawBufferPointer?
    var span: UnsafeRawBufferPointer?
    var sampled: UnsafeRawBufferPointer?
    var flags: UnsafeRawBufferPointer?

    var isPresent: Bool { trace != nil || span != nil || sampled != nil || flags != nil }

    static let names = ["x-b3-traceid", "x-b3-spanid", "x-b3-sampled", "x-b3-flags"].map { Array($0.utf8) }

    mutating func take(_ header: HTTPHeaderFacts) -> Bool {
      if RequestView.isName(header.name, Multiple.names[0]) {
        trace = header.value
      } else if RequestView.isName(header.name, Multiple.names[1]) {
        span = header.value
      } else if RequestView.isName(header.name, Multiple.names[2]) {
        sampled = header.value
      } else if RequestView.isName(header.name, Multiple.names[3]) {
        flags = header.value
      } else {
        return false
      }
      return true
    }
  }
}

/// The span of a request that is sampled.
public struct ActiveTrace: Hashable, Sendable {
  public let traceID: TraceID
  public let spanID: UInt64
  /// 0: the trace begins here.
  public let parentID: UInt64
  /// Of the span that the server sees as its parent: the request's own, or one of its own.
  public let upstreamID: UInt64
  let formats: TraceContext.Formats
  let keepsState: Bool

  /// - Parameter random: Numbers for what has none yet.
  public init(_ context: TraceContext, spawnsUpstreamSpan: Bool, random: () -> UInt64) {
    func identifier() -> UInt64 { max(1, random()) }
    traceID = context.traceID.isNone ? TraceID(high: identifier(), low: identifier()) : context.traceID
    spanID = identifier()
    parentID = context.spanID
    upstreamID = spawnsUpstreamSpan ? identifier() : spanID
    formats = context.formats.isEmpty ? .w3c : context.formats
    keepsState = context.isW3C
  }

  /// What the server is told, in the formats in which the client told it.
  func apply(to edits: inout HeaderEdits) {
    let trace = traceID.text
    let span = UInt64.hexadecimal(upstreamID)
    let parent = upstreamID == spanID ? parentID : spanID
    func set(_ name: String, _ value: String) { edits.set(name, Array(value.utf8)) }
    if formats.contains(.w3c) {
      set("traceparent", "00-\(trace)-\(span)-01")
      if !keepsState { edits.remove("tracestate") }
    }
    if formats.contains(.b3Single) {
      set("b3", "\(trace)-\(span)-1" + (parent == 0 ? "" : "-\(UInt64.hexadecimal(parent))"))
    }
    if formats.contains(.b3Multiple) {
      set("x-b3-traceid", trace)
      set("x-b3-spanid", span)
      set("x-b3-sampled", "1")
      edits.remove("x-b3-parentspanid")
      if parent != 0 { edits.add("x-b3-parentspanid", Array(UInt64.hexadecimal(parent).utf8)) }
    }
  }
}

extension Forwarding {
  /// The same with a span told to the server.
  public func with(_ trace: ActiveTrace) -> Forwarding {
    var edits = headers
    trace.apply(to: &edits)
    return Forwarding(
      cluster: cluster, path: path, authority: authority, usesEndpointName: usesEndpointName, headers: edits)
  }
}
