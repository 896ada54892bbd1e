import JSON

/// An ``AccessLogger``, ready to be asked and written.
public struct CompiledLog: Sendable {
  /// A value, by its place in what was captured.
  public enum Value: Sendable {
    case request(Int, otherwise: Int?, maximum: Int?)
    case response(Int, otherwise: Int?, maximum: Int?)
    case other(LogVariable)
  }

  public enum Part: Sendable {
    case text([UInt8])
    case value(Value)
  }

  public indirect enum Node: Sendable {
    public struct Member: Sendable {
      /// With its quotation marks and the colon.
      public let key: [UInt8]
      public let node: Node
    }

    case object([Member])
    case array([Node])
    /// As it is written.
    case constant([UInt8])
    case value(Value)
    case text([Part])
  }

  public enum Layout: Sendable {
    case text([Part])
    case document(Node)
  }

  public let target: AccessLogger.Target
  public let layout: Layout
  public let omitsEmpty: Bool
  private let filter: Filter?

  public init(_ logger: AccessLogger, _ plan: inout CapturePlan) throws(FieldError) {
    target = logger.target
    omitsEmpty = logger.format.omitsEmpty
    layout =
      switch logger.format.layout {
      case .text(let pieces): .text(pieces.map { CompiledLog.part($0, &plan) })
      case .document(let document): .document(CompiledLog.node(document, &plan))
      }
    filter = try logger.filter.map { (filter) throws(FieldError) in try Filter(filter, &plan) }
  }

  private static func part(_ piece: LogFormat.Piece, _ plan: inout CapturePlan) -> Part {
    switch piece {
    case .text(let text): .text(Array(text.utf8))
    case .variable(let variable): .value(value(variable, &plan))
    }
  }

  private static func value(_ variable: LogVariable, _ plan: inout CapturePlan) -> Value {
    switch variable {
    case .header(.request(let name, let otherwise, let maximum)):
      let place = plan.request(name)
      return .request(place, otherwise: otherwise.map { plan.request($0) }, maximum: maximum)
    case .header(.response(let name, let otherwise, let maximum)):
      let place = plan.response(name)
      return .response(place, otherwise: otherwise.map { plan.response($0) }, maximum: maximum)
    default: return .other(variable)
    }
  }

  private static func node(_ document: LogDocument, _ plan: inout CapturePlan) -> Node {
    switch document {
    case .object(let members):
      return .object(
        members.map { member in
          Node.Member(key: Array((JSONValue.string(member.key).text() + ":").utf8), node: node(member.value, &plan))
        })
    case .array(let elements): return .array(elements.map { node($0, &plan) })
    case .constant(let text): return .constant(Array(text.utf8))
    case .value(let variable): return .value(value(variable, &plan))
    case .text(let pieces): return .text(pieces.map { part($0, &plan) })
    }
  }

  // MARK: Filters

  /// What a filter asks about an exchange that has ended.
  public struct Facts {
    public let status: UInt16
    /// In milliseconds.
    public let duration: UInt64
    public let flags: ResponseFlags
    public let isTraced: Bool

    public init(status: UInt16, duration: UInt64, flags: ResponseFlags, isTraced: Bool) {
      self.status = status
      self.duration = duration
      self.flags = flags
      self.isTraced = isTraced
    }
  }

  /// Whether the log tells of an exchange.
  public func tells(of facts: Facts, _ heads: CapturedHeads, _ random: () -> UInt64) -> Bool {
    filter?.holds(facts, heads, random) ?? true
  }

  private indirect enum Filter: Sendable {
    case status(AccessLogFilter.Comparison, UInt64)
    case duration(AccessLogFilter.Comparison, UInt64)
    case any
    case traced
    case fraction(Fraction)
    case all([Filter])
    case anyOf([Filter])
    case header(UInt64)
    case flags(ResponseFlags)

    init(_ filter: AccessLogFilter, _ plan: inout CapturePlan) throws(FieldError) {
      func list(_ filters: [AccessLogFilter], _ plan: inout CapturePlan) throws(FieldError) -> [Filter] {
        var compiled: [Filter] = []
        for filter in filters { compiled.append(try Filter(filter, &plan)) }
        return compiled
      }
      switch filter {
      case .status(let comparison, let value): self = .status(comparison, value)
      case .duration(let comparison, let value): self = .duration(comparison, value)
      case .any: self = .any
      case .traced: self = .traced
      case .fraction(let fraction): self = .fraction(fraction)
      case .all(let filters): self = .all(try list(filters, &plan))
      case .anyOf(let filters): self = .anyOf(try list(filters, &plan))
      case .header(let matcher): self = .header(try plan.test(matcher))
      case .flags(let flags): self = .flags(flags)
      }
    }

    func holds(_ facts: Facts, _ heads: CapturedHeads, _ random: () -> UInt64) -> Bool {
      switch self {
      case .status(let comparison, let value): comparison.holds(UInt64(facts.status), value)
      case .duration(let comparison, let value): comparison.holds(facts.duration, value)
      case .any: true
      case .traced: facts.isTraced
      case .fraction(let fraction): fraction.contains(random())
      case .all(let filters): filters.allSatisfy { $0.holds(facts, heads, random) }
      case .anyOf(let filters): filters.contains { $0.holds(facts, heads, random) }
      case .header(let bit): heads.held & bit != 0
      case .flags(let flags): !facts.flags.isDisjoint(with: flags)
      }
    }
  }
}
