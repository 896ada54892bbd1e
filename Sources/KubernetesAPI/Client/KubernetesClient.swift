import AsyncHTTPClient
import JSON
import Logging
import NIOCore
import NIOHTTP1
import NIOSSL

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Speaks the Kubernetes API. Objects go and come as documents; the generic functions decode them.
///
///     let client = try KubernetesClient(configuration: .kubeconfig(path: path))
///     let pods = try await client.list(Pod.self, namespace: "default")
public final class KubernetesClient: Sendable {
  public let configuration: ClientConfiguration
  /// For one request but watches, from its start to the end of the answer.
  public let requestTimeout: Duration
  let http: HTTPClient
  private let token: TokenSource?
  private let userAgent: String

  static let maximumAnswer = 256 << 20

  public init(
    configuration: ClientConfiguration, requestTimeout: Duration = .seconds(30), userAgent: String = "martlet"
  ) throws(ConfigurationError) {
    self.configuration = configuration
    self.requestTimeout = requestTimeout
    self.userAgent = userAgent
    var options = HTTPClient.Configuration()
    options.tlsConfiguration = try KubernetesClient.tls(configuration)
    options.redirectConfiguration = .disallow
    options.timeout.connect = .seconds(10)
    // Over HTTP/1.1 every watch holds a connection of its own.
    options.connectionPool.concurrentHTTP1ConnectionsPerHostSoftLimit = 256
    http = HTTPClient(eventLoopGroupProvider: .singleton, configuration: options)
    token =
      switch configuration.credentials {
      case .token(let token): TokenSource(fixed: token)
      case .tokenFile(let path): TokenSource(path: path)
      case .anonymous, .clientCertificate: nil
      }
  }

  // The library's client must not be dropped while it is open.
  deinit { http.shutdown { _ in } }

  /// One request and its whole answer. `query` values are escaped here. Answers of 400 and above are thrown.
  public func request(
    _ method: HTTPMethod, _ path: String, query: [(String, String)] = [], contentType: String = "application/json",
    body: JSONValue? = nil
  ) async throws(KubernetesError) -> JSONValue {
    let request = try self.prepared(method, path, query: query, contentType: contentType, body: body)
    let (code, bytes) = try await withDeadline(requestTimeout) { [http] () async throws(KubernetesError) in
      do {
        let response = try await http.execute(request, deadline: .distantFuture)
        let bytes = try await response.body.collect(upTo: KubernetesClient.maximumAnswer)
        return (Int(response.status.code), bytes)
      } catch {
        throw .transport(KubernetesClient.describe(error))
      }
    }
    return try KubernetesClient.value(code: code, bytes)
  }

  func prepared(
    _ method: HTTPMethod, _ path: String, query: [(String, String)], contentType: String = "application/json",
    body: JSONValue? = nil
  ) throws(KubernetesError) -> HTTPClientRequest {
    var request = HTTPClientRequest(url: configuration.server + path + PercentEncoding.query(query))
    request.method = method
    request.headers.add(name: "Accept", value: "application/json")
    request.headers.add(name: "User-Agent", value: userAgent)
    if let token = try token?.token() { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
    if let body {
      request.headers.add(name: "Content-Type", value: contentType)
      request.body = .bytes(ByteBuffer(bytes: body.serialized()))
    }
    return request
  }

  static func value(code: Int, _ bytes: ByteBuffer) throws(KubernetesError) -> JSONValue {
    let result = Result { () throws(JSONError) in try JSONValue(parsing: bytes.readableBytesView) }
    guard (200..<300).contains(code) else {
      // Proxies on the way and crashed servers answer with plain text.
      if case .success(let value) = result { throw KubernetesError(status: value, code: code) }
      let text = String(decoding: bytes.readableBytesView.prefix(200), as: UTF8.self)
      throw .status(code: code, reason: "", message: text, causes: [])
    }
    switch result {
    case .success(let value): return value
    case .failure(let error): throw .malformed("\(error)")
    }
  }

  static func describe(_ error: any Error) -> String {
    // NIO's own words for a refused connection say "connection reset".
    if let error = error as? IOError { return String(cString: strerror(error.errnoCode)) }
    return (error as? HTTPClientError)?.shortDescription ?? "\(error)"
  }

  private static func tls(_ configuration: ClientConfiguration) throws(ConfigurationError) -> TLSConfiguration {
    var tls = TLSConfiguration.makeClientConfiguration()
    do {
      if let authority = configuration.certificateAuthority {
        tls.trustRoots = .certificates(try NIOSSLCertificate.fromPEMBytes(authority))
      }
      if case .clientCertificate(let certificate, let key) = configuration.credentials {
        tls.certificateChain = try NIOSSLCertificate.fromPEMBytes(certificate).map { .certificate($0) }
        tls.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: key, format: .pem))
      }
    } catch {
      throw ConfigurationError(description: "certificates of \(configuration.server): \(error)")
    }
    if configuration.skipsServerVerification { tls.certificateVerification = .none }
    return tls
  }
}
