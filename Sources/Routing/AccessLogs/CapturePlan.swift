import JSON
public import ProxyRules

/// What has to be kept of the heads of an exchange for those who tell of it at its end.
public struct CapturePlan: Sendable {
  struct Name: Hashable, Sendable {
    let bytes: [UInt8]
    let isJoined: Bool

    init(_ name: String) {
      bytes = Array(name.utf8)
      isJoined = name.hasPrefix(":") || name == "host" || JoinedHeaders.names.contains(name)
    }
  }

  private(set) var requestNames: [Name] = []
  private(set) var responseNames: [Name] = []
  private(set) var tests: [HeaderTest] = []

  public init() {}

  public var needsResponse: Bool { !responseNames.isEmpty }

  /// The place of a header of the request. Names are in lower case.
  public mutating func request(_ name: String) -> Int { CapturePlan.place(of: name, in: &requestNames) }

  public mutating func response(_ name: String) -> Int { CapturePlan.place(of: name, in: &responseNames) }

  /// The bit of a test of the request's headers.
  mutating func test(_ matcher: HeaderMatcher) throws(FieldError) -> UInt64 {
    guard tests.count < UInt64.bitWidth else {
      throw FieldError(path: "access_log", message: "more than \(UInt64.bitWidth) header filters are not supported")
    }
    tests.append(try HeaderTest(matcher))
    return 1 << UInt64(tests.count - 1)
  }

  private static func place(of name: String, in names: inout [Name]) -> Int {
    let name = Name(name)
    if let known = names.firstIndex(of: name) { return known }
    names.append(name)
    return names.count - 1
  }
}

/// The values of one exchange that a ``CapturePlan`` wants, in memory that the next exchange uses again.
public struct CapturedHeads: Sendable {
  private var octets: [UInt8] = []
  private var requestValues: [Range<Int>?] = []
  private var responseValues: [Range<Int>?] = []
  /// The tests of the request that hold.
  private(set) var held: UInt64 = 0

  public init() {}

  public mutating func clear() {
    if requestValues.isEmpty, responseValues.isEmpty, held == 0 { return }
    octets.removeAll(keepingCapacity: true)
    requestValues.removeAll(keepingCapacity: true)
    responseValues.removeAll(keepingCapacity: true)
    held = 0
  }

  /// Takes the request as it is now, in the place of what it was before.
  public mutating func take(_ request: RequestView, _ plan: CapturePlan) {
    clear()
    for name in plan.requestNames { requestValues.append(keep(name, request)) }
    for (index, test) in plan.tests.enumerated() where test.holds(for: request) { held |= 1 << UInt64(index) }
  }

  public mutating func take(response headers: UnsafeBufferPointer<HTTPHeaderFacts>, _ plan: CapturePlan) {
    responseValues.removeAll(keepingCapacity: true)
    let response = RequestView(
      HTTPRequestFacts(method: .empty, path: .empty, host: nil, headers: headers), connection: CapturedHeads.nobody)
    for name in plan.responseNames { responseValues.append(keep(name, response)) }
  }

  private static let nobody = ConnectionFacts()

  private mutating func keep(_ name: CapturePlan.Name, _ message: RequestView) -> Range<Int>? {
    if name.isJoined {
      return message.withHeader(name.bytes, skipsEmpty: true) { value in value.map { keep($0) } }
    }
    return message.firstValue(name.bytes).map { keep($0) }
  }

  private mutating func keep(_ value: UnsafeRawBufferPointer) -> Range<Int> {
    let start = octets.count
    octets.append(contentsOf: value)
    return start..<octets.count
  }

  /// Calls `body` with the octets at a place of the plan, or with nil where there was no such header.
  public func withRequest<Result>(_ place: Int, _ body: (Slice<UnsafeRawBufferPointer>?) -> Result) -> Result {
    with(place < requestValues.count ? requestValues[place] : nil, body)
  }

  public func withResponse<Result>(_ place: Int, _ body: (Slice<UnsafeRawBufferPointer>?) -> Result) -> Result {
    with(place < responseValues.count ? responseValues[place] : nil, body)
  }

  private func with<Result>(_ range: Range<Int>?, _ body: (Slice<UnsafeRawBufferPointer>?) -> Result) -> Result {
    guard let range else { return body(nil) }
    return octets.withUnsafeBytes { body($0[range]) }
  }
}
