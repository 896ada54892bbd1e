import JSON
import Services

/// What a load balancer is told of a Service on this node: kube-proxy's words (pkg/proxy/healthcheck).
struct HealthCheckAnswer: Hashable, Sendable {
  let service: ServiceName
  /// Ready endpoints of this node.
  let localEndpoints: Int
  /// Whether the kernel has the Service as it should.
  let isInForce: Bool

  var isHealthy: Bool { localEndpoints > 0 && isInForce }

  /// Whether a request's head has come to its end.
  static func isWhole(_ head: [UInt8]) -> Bool {
    let text = head.filter { $0 != UInt8(ascii: "\r") }
    return zip(text, text.dropFirst()).contains { $0 == (UInt8(ascii: "\n"), UInt8(ascii: "\n")) }
  }

  /// The whole answer to a request with this head, whatever its path.
  func bytes(to head: [UInt8]) -> [UInt8] {
    let method = String(decoding: head.prefix { $0 != UInt8(ascii: " ") }, as: UTF8.self)
    guard method == "GET" || method == "HEAD" else {
      return response("405 Method Not Allowed", ["Allow: GET, HEAD"], "", isHead: false)
    }
    let document: JSONValue = [
      "service": ["namespace": .string(service.namespace), "name": .string(service.name)],
      "localEndpoints": .integer(Int64(localEndpoints)), "serviceProxyHealthy": .bool(isInForce),
    ]
    let fields = [
      "Content-Type: application/json", "X-Content-Type-Options: nosniff",
      "X-Load-Balancing-Endpoint-Weight: \(localEndpoints)",
    ]
    return response(
      isHealthy ? "200 OK" : "503 Service Unavailable", fields, document.text() + "\n", isHead: method == "HEAD")
  }

  private func response(_ status: String, _ fields: [String], _ body: String, isHead: Bool) -> [UInt8] {
    let head = ["HTTP/1.1 \(status)"] + fields + ["Content-Length: \(body.utf8.count)", "Connection: close", "", ""]
    return Array((head.joined(separator: "\r\n") + (isHead ? "" : body)).utf8)
  }
}
