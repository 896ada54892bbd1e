import HTTPTypes
import Hummingbird
import HummingbirdTLS
import JSON
import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle

/// The API over HTTPS.
struct HTTPServer: Sendable {
  let server: APIServer
  let authentication: Authentication
  let pki: PKI
  let logger: Logger

  /// Larger bodies are refused with 413.
  static let maximumBody = 3 * 1024 * 1024

  struct Context: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
      coreContext = .init(source: source)
      channel = source.channel
    }
  }

  /// Serves until it is cancelled. `onReady` gets the port once requests are answered.
  func run(address: String, port: Int, onReady: @escaping @Sendable (Int) async -> Void) async throws {
    let application = Application(
      responder: CallbackResponder<Context> { request, context in await respond(request, context) },
      server: try .tls(.http1(), tlsConfiguration: try configuration()),
      configuration: .init(address: .hostname(address, port: port), backlog: 1024),
      onServerRunning: { channel in await onReady(channel.localAddress?.port ?? port) },
      logger: logger)
    var configuration = ServiceGroupConfiguration(services: [application], logger: logger)
    configuration.maximumGracefulShutdownDuration = .seconds(3)
    let group = ServiceGroup(configuration: configuration)
    // A task of its own: cancelling the caller must let requests in flight end, not cut them off.
    let serving = Task { try await group.run() }
    try await withTaskCancellationHandler {
      try await serving.value
    } onCancel: {
      Task { await group.triggerGracefulShutdown() }
    }
  }

  private func configuration() throws -> TLSConfiguration {
    let certificate = try NIOSSLCertificate.fromPEMBytes(Array(pki.serverCertificate.utf8))
    let key = try NIOSSLPrivateKey(bytes: Array(pki.serverKey.utf8), format: .pem)
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: certificate.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    configuration.certificateVerification = .optionalVerification
    configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(Array(pki.authority.utf8)))
    return configuration
  }

  /// A certificate that reaches this point was verified against the server's authority by the handshake.
  private func hasClientCertificate(_ channel: any Channel) async -> Bool {
    let result = channel.eventLoop.submit {
      try channel.pipeline.syncOperations.handler(type: NIOSSLServerHandler.self).peerCertificate != nil
    }
    return (try? await result.get()) ?? false
  }

  private func respond(_ request: Request, _ context: Context) async -> Response {
    guard let path = HTTPServer.path(request.uri.path) else {
      return response(APIResponse(.badRequest("the path is not UTF-8")), request)
    }
    if !Authentication.isPublic(path), !authentication.accepts(authorization: request.headers[.authorization] ?? "") {
      guard await hasClientCertificate(context.channel) else { return response(APIResponse(.unauthorized), request) }
    }
    guard let method = APIRequest.Method(rawValue: request.method.rawValue) else {
      return response(APIResponse(.methodNotAllowed), request)
    }
    var body: [UInt8] = []
    if method != .get {
      do {
        body = Array(try await request.body.collect(upTo: HTTPServer.maximumBody).readableBytesView)
      } catch {
        let limit = APIStatus(
          code: 413, reason: "RequestEntityTooLarge", message: "limit is \(HTTPServer.maximumBody) bytes")
        return response(APIResponse(limit), request)
      }
    }
    let answer = await server.respond(
      to: APIRequest(
        method: method, path: path, query: HTTPServer.query(request.uri.query ?? ""),
        accept: request.headers[.accept] ?? "",
        contentType: request.headers[.contentType] ?? "application/json",
        userAgent: request.headers[.userAgent] ?? "", body: body))
    return response(answer, request)
  }

  private func response(_ answer: APIResponse, _ request: Request) -> Response {
    var headers = HTTPFields()
    headers[.contentType] = answer.contentType
    headers[.cacheControl] = "no-cache, private"
    for warning in answer.warnings {
      headers.append(HTTPField(name: .warning, value: "299 - \(JSONValue.string(warning).text())"))
    }
    let body: ResponseBody
    switch answer.body {
    case .bytes(let bytes): body = ResponseBody(byteBuffer: ByteBuffer(bytes: bytes))
    case .stream(let produce):
      body = ResponseBody { writer in
        var sink: any ByteSink = ResponseSink(writer: writer)
        // Sends the head at once: clients wait for it before they trust that the watch is open.
        try await sink.write([])
        do {
          try await request.body.consumeWithCancellationOnInboundClose { _ in try await produce(&sink) }
        } catch is CancellationError {}
        try await writer.finish(nil)
      }
    }
    return Response(status: .init(code: answer.code), headers: headers, body: body)
  }

  /// The first value of each parameter, decoded as forms are (`application/x-www-form-urlencoded`): a `+` is a space.
  static func query(_ text: some StringProtocol) -> [String: String] {
    func decoded(_ part: Substring) -> String {
      let spaced = Substring(part.map { $0 == "+" ? " " : $0 })
      return spaced.removingURLPercentEncoding() ?? String(spaced)
    }
    var query: [String: String] = [:]
    for pair in text.split(separator: "&") {
      let parts = Substring(pair).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let key = parts.first.map(decoded), query[key] == nil else { continue }
      query[key] = parts.count == 2 ? decoded(parts[1]) : ""
    }
    return query
  }

  /// The decoded steps of a path.
  static func path(_ text: String) -> [String]? {
    var steps: [String] = []
    for step in text.split(separator: "/") {
      guard let decoded = step.removingURLPercentEncoding() else { return nil }
      steps.append(decoded)
    }
    return steps
  }
}

private struct ResponseSink: ByteSink {
  var writer: any ResponseBodyWriter

  mutating func write(_ bytes: [UInt8]) async throws { try await writer.write(ByteBuffer(bytes: bytes)) }
}

extension Substring {
  fileprivate func removingURLPercentEncoding() -> String? {
    guard utf8.contains(37) else { return String(self) }
    var bytes: [UInt8] = []
    var rest = utf8[...]
    while let byte = rest.popFirst() {
      if byte == 37 {
        guard let high = rest.popFirst(), let low = rest.popFirst(),
          let value = UInt8(String(decoding: [high, low], as: UTF8.self), radix: 16)
        else { return nil }
        bytes.append(value)
      } else {
        bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }
}

extension HTTPField.Name {
  fileprivate static var warning: Self { .init("Warning") ?? .via }
}
