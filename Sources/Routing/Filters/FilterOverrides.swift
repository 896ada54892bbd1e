import JSON

/// A filter's configuration, the listener's or a route's, ready to be followed.
enum CompiledFilter: Sendable {
  case headerMutation(CompiledMutations, mostSpecificWins: Bool)
  /// nil for the listener's, which says nothing.
  case cors(CompiledCors?)
  case accessControl(CompiledAccess)
  case fault(CompiledFault)
  case rateLimit(CompiledRateLimit)
  /// The most octets of a request's body; nil for any number.
  case buffer(UInt32?)

  init(_ kind: HTTPFilter.Kind) throws(FieldError) {
    switch kind {
    case .headerMutation(let filter):
      self = .headerMutation(try CompiledMutations(filter.rules), mostSpecificWins: filter.mostSpecificWins)
    case .cors: self = .cors(nil)
    case .accessControl(let control): self = .accessControl(try CompiledAccess(control))
    case .fault(let fault): self = .fault(try CompiledFault(fault))
    case .rateLimit(let limit): self = .rateLimit(CompiledRateLimit(limit))
    case .buffer(let buffer): self = .buffer(buffer.maximum)
    }
  }

  init(_ config: RouteFilterConfig) throws(FieldError) {
    switch config {
    case .headerMutation(let rules): self = .headerMutation(try CompiledMutations(rules), mostSpecificWins: false)
    case .cors(let policy): self = .cors(try CompiledCors(policy))
    case .accessControl(let control): self = .accessControl(try CompiledAccess(control))
    case .fault(let fault): self = .fault(try CompiledFault(fault))
    case .rateLimit(let limit): self = .rateLimit(CompiledRateLimit(limit))
    case .buffer(let buffer): self = .buffer(buffer?.maximum)
    }
  }
}

/// ``PerFilterConfigs``, ready to be followed.
final class FilterOverrides: Sendable {
  enum Setting: Sendable {
    case disabled
    case enabled
    case config(CompiledFilter)
  }

  private let settings: [(filter: String, setting: Setting)]

  /// nil where nothing is said.
  static func compile(_ configs: PerFilterConfigs) throws(FieldError) -> FilterOverrides? {
    configs.isEmpty ? nil : try FilterOverrides(configs)
  }

  private init(_ configs: PerFilterConfigs) throws(FieldError) {
    var settings: [(String, Setting)] = []
    for entry in configs.entries {
      switch entry.setting {
      case .disabled: settings.append((entry.filter, .disabled))
      case .enabled: settings.append((entry.filter, .enabled))
      case .config(let config): settings.append((entry.filter, .config(try CompiledFilter(config))))
      }
    }
    self.settings = settings
  }

  subscript(filter: String) -> Setting? { settings.first { $0.filter == filter }?.setting }
}
