/// What rules look at in a request: views into the reader's buffer, valid as long as that is. Nothing is copied.
public struct HTTPRequestFacts {
  public var method: UnsafeRawBufferPointer
  /// Path and query as they were sent (`:path`). Of a target in absolute form, the part after the authority.
  public var path: UnsafeRawBufferPointer
  /// The authority of a target in absolute form, else the Host header's value; nil when there is neither.
  public var host: UnsafeRawBufferPointer?
  public var headers: UnsafeBufferPointer<HTTPHeaderFacts>

  @inlinable
  public init(
    method: UnsafeRawBufferPointer, path: UnsafeRawBufferPointer, host: UnsafeRawBufferPointer?,
    headers: UnsafeBufferPointer<HTTPHeaderFacts>
  ) {
    self.method = method
    self.path = path
    self.host = host
    self.headers = headers
  }
}

/// One header line: name in any case, value without the white space around it.
public struct HTTPHeaderFacts {
  public var name: UnsafeRawBufferPointer
  public var value: UnsafeRawBufferPointer

  @inlinable
  public init(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
    self.name = name
    self.value = value
  }
}

/// A request as text, for the command line and tests; the proxy builds ``HTTPRequestFacts`` over its buffer.
public struct HTTPRequestDescription: Hashable, Sendable {
  public var method: String
  public var path: String
  public var host: String?
  public var headers: [(name: String, value: String)] {
    get { headerLines.map { ($0.name, $0.value) } }
    set { headerLines = newValue.map { HeaderLine(name: $0.name, value: $0.value) } }
  }

  private var headerLines: [HeaderLine]

  private struct HeaderLine: Hashable, Sendable {
    let name: String
    let value: String
  }

  public init(
    method: String = "GET", path: String, host: String? = nil, headers: [(name: String, value: String)] = []
  ) {
    self.method = method
    self.path = path
    self.host = host
    self.headerLines = headers.map { HeaderLine(name: $0.name, value: $0.value) }
  }

  /// Calls `body` with views of the request that end with the call.
  public func withFacts<Result>(_ body: (HTTPRequestFacts) -> Result) -> Result {
    // One block holds every text, so that all views stay valid together.
    var block: [UInt8] = []
    func place(_ text: String) -> Range<Int> {
      let start = block.count
      block.append(contentsOf: text.utf8)
      return start..<block.count
    }
    let method = place(method)
    let path = place(path)
    let host = host.map(place)
    let lines = headerLines.map { (place($0.name), place($0.value)) }
    return block.withUnsafeBytes { bytes in
      func view(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: bytes[range]) }
      return lines.map { HTTPHeaderFacts(name: view($0.0), value: view($0.1)) }.withUnsafeBufferPointer { headers in
        body(HTTPRequestFacts(method: view(method), path: view(path), host: host.map(view), headers: headers))
      }
    }
  }
}
