import JSON
import Labels

/// A request, free of the HTTP library.
struct APIRequest: Sendable {
  enum Method: String, Sendable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
  }

  var method: Method
  /// The decoded steps of the path, without empty ones.
  var path: [String]
  var query: [String: String] = [:]
  var accept = ""
  var contentType = ""
  var userAgent = ""
  var body: [UInt8] = []

  func flag(_ name: String) -> Bool { ["true", "1"].contains(query[name] ?? "") }

  var isDryRun: Bool { query["dryRun"] == "All" }

  /// Who makes the change, for managed fields.
  var fieldManager: String {
    if let manager = query["fieldManager"], !manager.isEmpty { return manager }
    let agent = userAgent.prefix { $0 != "/" }
    return agent.isEmpty ? "unknown" : String(agent)
  }
}

/// Where the pieces of a stream go.
protocol ByteSink {
  mutating func write(_ bytes: [UInt8]) async throws
}

/// A response, free of the HTTP library.
struct APIResponse: Sendable {
  enum Body: Sendable {
    case bytes([UInt8])
    /// Writes pieces until it returns; the connection's end cancels it.
    case stream(@Sendable (inout any ByteSink) async throws -> Void)
  }

  var code = 200
  var contentType = "application/json"
  var body: Body
  /// Sentences for the `Warning` header.
  var warnings: [String] = []
  var headers: [(String, String)] = []

  init(code: Int = 200, body: Body) {
    self.code = code
    self.body = body
  }

  init(code: Int = 200, json: JSONValue, warnings: [String] = []) {
    self.init(code: code, body: .bytes(json.serialized()))
    self.warnings = warnings
  }

  init(text: String) {
    self.init(body: .bytes(Array(text.utf8)))
    contentType = "text/plain; charset=utf-8"
  }

  init(_ status: APIStatus) { self.init(code: status.code, json: status.json) }
}

/// What form of answer the client wants.
enum Representation: Sendable {
  case object
  /// Rows and columns for people; `includeObject` is None, Metadata or Object.
  case table(includeObject: String)
  case metadataOnly

  init(_ request: APIRequest) {
    self = .object
    for range in request.accept.split(separator: ",") {
      let parts = range.split(separator: ";").map { $0.filter { $0 != " " } }
      guard parts.first == "application/json" || parts.first == "*/*" else { continue }
      if parts.contains("as=Table") {
        self = .table(includeObject: request.query["includeObject"] ?? "Metadata")
      } else if parts.contains("as=PartialObjectMetadata") || parts.contains("as=PartialObjectMetadataList") {
        self = .metadataOnly
      }
      return
    }
  }
}
