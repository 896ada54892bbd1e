import ProxyRules

/// What the proxy answers itself.
public struct LocalResponse: Hashable, Sendable {
  public let status: UInt16
  /// The value of the Location header.
  public let location: [UInt8]?
  public let body: [UInt8]
  /// The request's path as the response's variables see it.
  let path: [UInt8]?

  /// No route is for the request.
  public static let notFound = LocalResponse(status: 404, location: nil, body: [], path: nil)

  /// The cluster that a route names is not there.
  public static func noCluster(_ action: RouteAction) -> LocalResponse {
    LocalResponse(status: action.clusterNotFoundStatus, location: nil, body: [], path: nil)
  }

  /// No server has answered.
  public static func failure(status: UInt16) -> LocalResponse {
    LocalResponse(status: status, location: nil, body: [], path: nil)
  }

  /// To the same address with https.
  public static func redirectToTLS(_ request: RequestView) -> LocalResponse {
    let location = Array("https://".utf8) + Array(request.http.host ?? .empty) + Array(request.http.path)
    return LocalResponse(status: 301, location: location, body: [], path: nil)
  }
}

extension RouteChoice {
  /// The answer of a route that has one; nil for those that lead to a cluster.
  public func localResponse(_ request: RequestView) -> LocalResponse? {
    switch route.action {
    case .forward: return nil
    case .respond(let response):
      // As Envoy has it, a redirect without an address leads to where it came from.
      let leads = response.status == 201 || (300..<400).contains(response.status)
      return LocalResponse(
        status: response.status, location: leads ? RouteChoice.address(request) : nil, body: response.body, path: nil)
    case .redirect(let redirect):
      let rewritten: [UInt8]? =
        switch redirect.path {
        case .matched(let text): replacingMatched(request.http.path, with: text)
        case .regex(let substitution): PathRewriting.replacing(request.http.path, substitution)
        case .literal, nil: nil
        }
      return LocalResponse(
        status: redirect.status, location: location(redirect, rewritten ?? Array(request.http.path), request),
        body: [], path: rewritten)
    }
  }

  private static func address(_ request: RequestView) -> [UInt8] {
    Array((request.connection.scheme + "://").utf8) + Array(request.http.host ?? .empty) + Array(request.http.path)
  }

  private func location(_ redirect: RedirectAction, _ path: [UInt8], _ request: RequestView) -> [UInt8] {
    let scheme = redirect.scheme ?? request.connection.scheme
    let port = redirect.port.map { ":\($0)" } ?? ""
    var location = Array((scheme + "://").utf8)
    if let host = redirect.host {
      location += host.utf8
    } else {
      location += RouteChoice.host(request, scheme: scheme, hasPort: redirect.port != nil)
    }
    location += port.utf8
    // Else the path would go on with the authority.
    if path.first != UInt8(ascii: "/"), !path.isEmpty { location.append(UInt8(ascii: "/")) }
    let query = path.firstIndex(of: UInt8(ascii: "?")).map { path[$0...] } ?? []
    if case .literal(let text) = redirect.path {
      // A query of its own is kept and stands in the place of the request's.
      location += text.utf8
      if !redirect.stripsQuery, !text.utf8.contains(UInt8(ascii: "?")) { location += query }
    } else {
      location += redirect.stripsQuery ? path[..<(path.count - query.count)] : path[...]
    }
    return location
  }

  /// The request's authority, without its port where that is replaced, or is the default of a scheme that is.
  private static func host(_ request: RequestView, scheme: String, hasPort: Bool) -> UnsafeRawBufferPointer {
    guard let host = request.http.host else { return .empty }
    let name = host.withoutPort
    guard name.count < host.count else { return host }
    let port = host[name.count...]
    let current = request.connection.scheme
    let isDefault =
      scheme != current
      && (current == "https" && port.elementsEqual(":443".utf8) || current == "http" && port.elementsEqual(":80".utf8))
    return hasPort || isDefault ? name : host
  }
}

extension UnsafeRawBufferPointer {
  static var empty: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: nil, count: 0) }
}
