import ProxyRules

/// How the headers of a message change: lines with the names of `removed` go, then those of `added` follow the others.
public struct HeaderEdits: Hashable, Sendable {
  public struct Line: Hashable, Sendable {
    /// In lower case.
    public let name: String
    public let value: [UInt8]
  }

  /// In lower case.
  public private(set) var removed: [String] = []
  public private(set) var added: [Line] = []

  public init() {}

  public var isEmpty: Bool { removed.isEmpty && added.isEmpty }

  /// Fields that say where a message ends: only who passes the body on can say that.
  public static let framing = ["content-length", "transfer-encoding"]

  /// Makes the changes of others behind its own.
  mutating func append(_ others: HeaderEdits) {
    for name in others.removed { remove(name) }
    added += others.added
  }

  mutating func remove(_ name: String) {
    added.removeAll { $0.name == name }
    if !removed.contains(name) { removed.append(name) }
  }

  mutating func add(_ name: String, _ value: [UInt8]) { added.append(Line(name: name, value: value)) }

  mutating func set(_ name: String, _ value: [UInt8]) {
    remove(name)
    add(name, value)
  }
}

/// A message's headers as they are after some edits.
struct EditedHeaders {
  let original: UnsafeBufferPointer<HTTPHeaderFacts>
  var edits = HeaderEdits()

  /// Of an answer that has none yet.
  static var none: EditedHeaders {
    EditedHeaders(original: UnsafeBufferPointer<HTTPHeaderFacts>(start: nil, count: 0))
  }

  /// The value of the first line of a name.
  func first(_ name: String) -> [UInt8]? {
    if !edits.removed.contains(name) {
      let bytes = Array(name.utf8)
      if let line = original.first(where: { RequestView.isName($0.name, bytes) }) { return Array(line.value) }
    }
    return edits.added.first { $0.name == name }?.value
  }

  /// The values of all lines of a name, joined by commas.
  func joined(_ name: String) -> [UInt8]? {
    var values: [[UInt8]] = []
    if !edits.removed.contains(name) {
      let bytes = Array(name.utf8)
      values = original.filter { RequestView.isName($0.name, bytes) }.map { Array($0.value) }
    }
    values += edits.added.filter { $0.name == name }.map(\.value)
    return values.isEmpty ? nil : Array(values.joined(separator: [UInt8(ascii: ",")]))
  }

  /// Removes first, then evaluates every value as the headers are by then, then overwrites, then adds.
  mutating func apply(_ mutations: HeaderMutations, _ context: (HeaderTemplate, EditedHeaders) -> [UInt8]) {
    for name in mutations.removed { edits.remove(name) }
    var overwritten: [HeaderEdits.Line] = []
    var added: [HeaderEdits.Line] = []
    for addition in mutations.added {
      let value = context(addition.value, self)
      if value.isEmpty && !addition.keepsEmptyValue { continue }
      let line = HeaderEdits.Line(name: addition.name, value: value)
      switch addition.action {
      case .append: added.append(line)
      case .addIfAbsent: if first(addition.name) == nil { added.append(line) }
      case .overwriteOrAdd: overwritten.append(line)
      case .overwriteIfExists: if first(addition.name) != nil { overwritten.append(line) }
      }
    }
    for line in overwritten { edits.set(line.name, line.value) }
    for line in added { edits.add(line.name, line.value) }
  }
}

/// Everything that a variable may ask for.
struct TemplateContext {
  let http: HTTPRequestFacts
  let connection: ConnectionFacts
  let routeName: String
  var cluster: [UInt8] = []
  var status: UInt16?
  /// As they are after the changes so far, with the path and the authority of the rewritten request.
  var request: EditedHeaders
  var response: EditedHeaders?
  var path: [UInt8]?
  var authority: [UInt8]?

  init(_ request: RequestView, routeName: String) {
    http = request.http
    connection = request.connection
    self.routeName = routeName
    self.request = EditedHeaders(original: request.http.headers)
  }

  func text(_ template: HeaderTemplate) -> [UInt8] {
    var text: [UInt8] = []
    for piece in template.pieces {
      switch piece {
      case .text(let literal): text += literal.utf8
      case .variable(let variable): text += value(variable)
      }
    }
    return text
  }

  private func value(_ variable: HeaderVariable) -> [UInt8] {
    switch variable {
    case .request(let name, let otherwise, let maximum):
      cut(requestHeader(name) ?? otherwise.flatMap(requestHeader), maximum)
    case .response(let name, let otherwise, let maximum):
      cut(response?.first(name) ?? otherwise.flatMap { response?.first($0) }, maximum)
    case .protocol: Array(connection.protocol.utf8)
    case .routeName: Array(routeName.utf8)
    case .upstreamCluster: cluster
    case .hostname: Array(connection.hostname.utf8)
    // Of its own answers Envoy does not know the status yet.
    case .responseCode: Array(String(status ?? 0).utf8)
    case .remoteAddress: address(connection.remoteAddress, connection.remotePort)
    case .remoteAddressWithoutPort: Array(connection.remoteAddress.utf8)
    case .remotePort: Array(String(connection.remotePort).utf8)
    case .localAddress: address(connection.localAddress, connection.localPort)
    case .localAddressWithoutPort: Array(connection.localAddress.utf8)
    case .localPort: Array(String(connection.localPort).utf8)
    }
  }

  /// Changes the request's headers by one level of the configuration.
  mutating func applyToRequest(_ mutations: HeaderMutations) {
    if mutations.isEmpty { return }
    var headers = request
    headers.apply(mutations) { template, headers in
      var context = self
      context.request = headers
      return context.text(template)
    }
    request = headers
  }

  func requestHeader(_ name: String) -> [UInt8]? {
    switch name {
    case ":method": Array(http.method)
    case ":path": path ?? Array(http.path)
    case ":authority", "host": authority ?? http.host.map { Array($0) }
    case ":scheme": Array(connection.scheme.utf8)
    default: request.first(name)
    }
  }

  private func cut(_ value: [UInt8]?, _ maximum: Int?) -> [UInt8] {
    guard let value else { return [] }
    return maximum.map { Array(value.prefix($0)) } ?? value
  }

  private func address(_ address: String, _ port: UInt16) -> [UInt8] {
    Array((address.utf8.contains(UInt8(ascii: ":")) ? "[\(address)]:\(port)" : "\(address):\(port)").utf8)
  }
}
