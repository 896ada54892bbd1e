import ProxyRules

/// A request on its way to a cluster: what changes of it.
public struct Forwarding: Hashable, Sendable {
  /// As the configuration or a header of the request names it; nil where that header is missing.
  public let cluster: String?
  /// Path and query, where they change.
  public let path: [UInt8]?
  /// The authority, where it changes.
  public let authority: [UInt8]?
  /// The name of the endpoint that is chosen becomes the authority, if it has one.
  public let usesEndpointName: Bool
  public let headers: HeaderEdits
}

extension Forwarding {
  /// Of a request that is sent as it came.
  private init(unchangedTo cluster: String) {
    self.init(cluster: cluster, path: nil, authority: nil, usesEndpointName: false, headers: HeaderEdits())
  }

  /// Of the requests of a route that changes none of them, for each weighted cluster; empty for other routes.
  static func unchanged(_ route: Route) -> [Forwarding] {
    guard case .forward(let action) = route.action, action.pathRewrite == nil, action.hostRewrite == nil,
      route.requestHeaders.isEmpty
    else { return [] }
    switch action.destination {
    case .cluster(let cluster): return [Forwarding(unchangedTo: cluster.name)]
    case .header: return []
    case .weighted(let weighted):
      let names = weighted.clusters.compactMap { cluster -> String? in
        guard case .cluster(let named) = cluster.name, cluster.requestHeaders.isEmpty, cluster.hostRewrite == nil else {
          return nil
        }
        return named.name
      }
      return names.count == weighted.clusters.count ? names.map { Forwarding(unchangedTo: $0) } : []
    }
  }
}

extension RouteChoice {
  /// How the request goes on; nil where the proxy answers itself. With `marksOriginal` what was rewritten is told in
  /// `x-envoy-original-path` and `x-envoy-original-host`, as Envoy's router does unless `suppress_envoy_headers` is set.
  ///
  /// - Parameters:
  ///   - request: As it came.
  ///   - edits: What filters have changed of it.
  public func forwarding(
    _ request: RequestView, edits: HeaderEdits = HeaderEdits(), marksOriginal: Bool = true
  ) -> Forwarding? {
    if edits.isEmpty, let unchanged { return unchanged }
    guard case .forward(let action) = route.action else { return nil }
    let cluster = clusterName(request)
    var context = TemplateContext(request, routeName: route.name)
    context.request.edits = edits
    context.cluster = cluster.map { Array($0.utf8) } ?? []
    if let weightedCluster {
      context.applyToRequest(weightedCluster.requestHeaders)
      context.authority = weightedCluster.hostRewrite.map { Array($0.utf8) }
    }
    for level in levels { context.applyToRequest(level.requestHeaders) }
    if let authority = rewrittenAuthority(action, context) {
      let before = context.authority ?? Array(request.http.host ?? .empty)
      if action.appendsForwardedHost { appendForwardedHost(&context.request, before) }
      if marksOriginal, !before.isEmpty { context.request.edits.set("x-envoy-original-host", before) }
      context.authority = authority
    }
    let path = rewrittenPath(action, request)
    if marksOriginal, path != nil { context.request.edits.set("x-envoy-original-path", Array(request.http.path)) }
    return Forwarding(
      cluster: cluster, path: path, authority: context.authority, usesEndpointName: action.hostRewrite == .endpoint,
      headers: context.request.edits)
  }

  /// What holds for every request of the route; nil where some level changes requests.
  private var unchanged: Forwarding? {
    guard !compiled.forwardings.isEmpty, virtualHost.requestHeaders.isEmpty, table.configuration.requestHeaders.isEmpty
    else {
      return nil
    }
    return compiled.forwardings[weightedIndex ?? 0]
  }

  /// How the response's headers change. `forwarding` is what ``forwarding(_:edits:marksOriginal:)`` gave for the request.
  public func responseEdits(
    _ request: RequestView, forwarding: Forwarding?, status: UInt16, headers: UnsafeBufferPointer<HTTPHeaderFacts>,
    filters: FilterPass? = nil
  ) -> HeaderEdits {
    var context = TemplateContext(request, routeName: route.name)
    context.status = status
    context.cluster = forwarding?.cluster.map { Array($0.utf8) } ?? []
    context.path = forwarding?.path
    context.authority = forwarding?.authority
    context.request.edits = forwarding?.headers ?? HeaderEdits()
    var response = EditedHeaders(original: headers)
    apply(to: &response, context)
    filters?.apply(to: &response, context)
    return response.edits
  }

  /// How the headers of the proxy's own answer change.
  public func responseEdits(
    _ request: RequestView, to response: LocalResponse, filters: FilterPass? = nil
  ) -> HeaderEdits {
    var context = TemplateContext(request, routeName: route.name)
    context.path = response.path
    context.request.edits = filters?.edits ?? HeaderEdits()
    var headers = EditedHeaders.none
    apply(to: &headers, context)
    filters?.apply(to: &headers, context)
    return headers.edits
  }

  /// Changes a response as the levels of the configuration do.
  func apply(to response: inout EditedHeaders, _ context: TemplateContext) {
    for level in (weightedCluster.map { [.weighted($0)] } ?? []) + levels {
      response.apply(level.responseHeaders) { template, headers in
        var context = context
        context.response = headers
        return context.text(template)
      }
    }
  }

  /// The request on its way to an endpoint, whose name becomes its authority where the route says so.
  public func forwarding(
    _ forwarding: Forwarding, toEndpoint name: String, _ request: RequestView, marksOriginal: Bool = true
  ) -> Forwarding {
    guard forwarding.usesEndpointName, !name.isEmpty, case .forward(let action) = route.action else {
      return forwarding
    }
    var headers = EditedHeaders(original: request.http.headers, edits: forwarding.headers)
    let before = forwarding.authority ?? Array(request.http.host ?? .empty)
    if action.appendsForwardedHost { appendForwardedHost(&headers, before) }
    if marksOriginal, !before.isEmpty { headers.edits.set("x-envoy-original-host", before) }
    return Forwarding(
      cluster: forwarding.cluster, path: forwarding.path, authority: Array(name.utf8), usesEndpointName: true,
      headers: headers.edits)
  }

  /// The cluster that the route names for a request as it came; nil where it names none.
  func clusterName(_ request: RequestView) -> String? {
    guard case .forward(let action) = route.action else { return nil }
    func named(by header: String) -> String? {
      request.withHeader(Array(header.utf8)) { value in
        value.flatMap { $0.isEmpty ? nil : String(decoding: $0, as: UTF8.self) }
      }
    }
    switch action.destination {
    case .cluster(let cluster): return cluster.name
    case .header(let name): return named(by: name)
    case .weighted:
      switch weightedCluster?.name {
      case .cluster(let cluster): return cluster.name
      case .header(let name): return named(by: name)
      case nil: return nil
      }
    }
  }

  private func rewrittenAuthority(_ action: RouteAction, _ context: TemplateContext) -> [UInt8]? {
    let host: [UInt8]? =
      switch action.hostRewrite {
      case .literal(let host): Array(host.utf8)
      case .header(let name): context.requestHeader(name)
      case .path(let substitution): substitution.replacement.applied(to: context.http.path.withoutQuery)
      case .endpoint, nil: nil
      }
    return host.flatMap { $0.isEmpty ? nil : $0 }
  }

  private func appendForwardedHost(_ headers: inout EditedHeaders, _ host: [UInt8]) {
    guard !host.isEmpty else { return }
    let name = "x-forwarded-host"
    guard let known = headers.joined(name), !known.isEmpty else {
      headers.edits.set(name, host)
      return
    }
    let last = known.split(separator: UInt8(ascii: ",")).last?.trimmingSpaces
    if last?.elementsEqual(host) != true { headers.edits.set(name, known + [UInt8(ascii: ",")] + host) }
  }

  private func rewrittenPath(_ action: RouteAction, _ request: RequestView) -> [UInt8]? {
    switch action.pathRewrite {
    case .matched(let text): replacingMatched(request.http.path, with: text)
    case .regex(let substitution): PathRewriting.replacing(request.http.path, substitution)
    case nil: nil
    }
  }

  /// The path with what the route matched replaced: its prefix, or all but the query.
  func replacingMatched(_ path: UnsafeRawBufferPointer, with text: String) -> [UInt8] {
    let matched =
      switch route.match.path {
      case .prefix(let prefix), .separatedPrefix(let prefix): prefix.utf8.count
      case .exact, .regex: path.withoutQuery.count
      }
    return Array(text.utf8) + path[min(matched, path.count)...]
  }
}

enum PathRewriting {
  /// The path with every match of an expression replaced, and its query as it was.
  static func replacing(_ path: UnsafeRawBufferPointer, _ substitution: RegexSubstitution) -> [UInt8] {
    let plain = path.withoutQuery
    return substitution.replacement.applied(to: plain) + path[plain.count...]
  }
}

extension ArraySlice<UInt8> {
  /// Without spaces and tabs at both ends.
  fileprivate var trimmingSpaces: ArraySlice<UInt8> {
    var rest = drop { $0 == 0x20 || $0 == 0x09 }
    while let last = rest.last, last == 0x20 || last == 0x09 { rest.removeLast() }
    return rest
  }
}
