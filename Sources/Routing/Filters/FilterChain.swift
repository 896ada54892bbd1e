import JSON

/// The filters of a listener before its router, ready to be followed.
public final class FilterChain: Sendable {
  public final class Step: Sendable {
    public let filter: HTTPFilter
    public let counters: FilterCounters
    let compiled: CompiledFilter

    /// - Parameter previous: In its place until now, which may be another filter.
    init(_ filter: HTTPFilter, reusing previous: Step?) throws(FieldError) {
      self.filter = filter
      let known = previous?.filter.name == filter.name ? previous : nil
      counters = known?.counters ?? FilterCounters()
      if let known, known.filter == filter {
        compiled = known.compiled
      } else {
        compiled = try CompiledFilter(filter.kind)
      }
    }
  }

  public let steps: [Step]

  /// nil where there are no filters. Throws for what routes say to filters that are not there, or not of that kind: it would
  /// do nothing.
  ///
  /// - Parameter previous: The chain until now, whose tokens and counters go on.
  public static func make(
    _ manager: HTTPConnectionManager, _ routes: RouteConfiguration, reusing previous: FilterChain? = nil
  ) throws(FieldError) -> FilterChain? {
    let kinds = Dictionary(manager.filters.map { ($0.name, $0.kind.word) }, uniquingKeysWith: { first, _ in first })
    try check(routes.filters, kinds)
    for host in routes.virtualHosts {
      try check(host.filters, kinds)
      for route in host.routes {
        try check(route.filters, kinds)
        guard case .forward(let action) = route.action, case .weighted(let weighted) = action.destination else {
          continue
        }
        for cluster in weighted.clusters { try check(cluster.filters, kinds) }
      }
    }
    return manager.filters.isEmpty ? nil : try FilterChain(manager.filters, reusing: previous)
  }

  private init(_ filters: [HTTPFilter], reusing previous: FilterChain?) throws(FieldError) {
    var steps: [Step] = []
    for filter in filters {
      steps.append(try Step(filter, reusing: previous?.steps.first { $0.filter.name == filter.name }))
    }
    self.steps = steps
  }

  private static func check(_ configs: PerFilterConfigs, _ kinds: [String: String]) throws(FieldError) {
    for entry in configs.entries {
      guard let kind = kinds[entry.filter] else {
        throw FieldError(path: entry.path, message: "no filter \"\(entry.filter)\" among the listener's http_filters")
      }
      if case .config(let config) = entry.setting, config.word != kind {
        throw FieldError(
          path: entry.path, message: "is for \(config.word), but the filter \"\(entry.filter)\" is \(kind)")
      }
    }
  }

  /// What the filters do with one request.
  ///
  /// - Parameter isTrial: Nothing is counted, and no token taken.
  public func pass(_ result: RouteResult, isTrial: Bool = false) -> FilterPass {
    FilterPass(self, result, isTrial: isTrial)
  }
}

extension RouteChoice {
  /// What the levels of the route say to a filter, the most specific first. `body` says whether to go on.
  func forEachSetting(_ filter: String, _ body: (FilterOverrides.Setting) -> Bool) {
    let clusters = compiled.clusterFilters
    if let weightedIndex, weightedIndex < clusters.count, let setting = clusters[weightedIndex]?[filter], !body(setting)
    {
      return
    }
    if let setting = compiled.filters?[filter], !body(setting) { return }
    if let setting = host.filters?[filter], !body(setting) { return }
    if let setting = table.filters?[filter] { _ = body(setting) }
  }

  /// Whether a level of the route turns a filter on or off; nil where none says anything to it.
  func isDisabled(_ filter: String) -> Bool? {
    var isDisabled: Bool?
    forEachSetting(filter) { setting in
      if case .disabled = setting { isDisabled = true } else { isDisabled = false }
      return false
    }
    return isDisabled
  }

  /// The most specific configuration of a filter.
  func filterConfig(_ filter: String) -> CompiledFilter? {
    var found: CompiledFilter?
    forEachSetting(filter) { setting in
      guard case .config(let config) = setting else { return true }
      found = config
      return false
    }
    return found
  }

  /// The configurations of a filter at all levels, the most specific first.
  func filterConfigs(_ filter: String) -> [CompiledFilter] {
    var all: [CompiledFilter] = []
    forEachSetting(filter) { setting in
      if case .config(let config) = setting { all.append(config) }
      return true
    }
    return all
  }
}
