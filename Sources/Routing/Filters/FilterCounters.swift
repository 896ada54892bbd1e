import Synchronization

/// What a filter does with a request, as it is counted.
public enum FilterEvent: Int, CaseIterable, Sendable {
  /// Let through by access rules, or denied; and what rules that are only counted would have done.
  case allowed, denied, shadowAllowed, shadowDenied
  case originAllowed, originRefused, preflightAnswered
  case delayed, aborted
  /// There was a token; there was none, and the request was refused, or went on all the same.
  case withinLimit, limited, limitedInShadow
  case tooLarge

  /// As in the label of its metric.
  public var word: String {
    switch self {
    case .allowed: "allowed"
    case .denied: "denied"
    case .shadowAllowed: "shadow_allowed"
    case .shadowDenied: "shadow_denied"
    case .originAllowed: "origin_allowed"
    case .originRefused: "origin_refused"
    case .preflightAnswered: "preflight_answered"
    case .delayed: "delayed"
    case .aborted: "aborted"
    case .withinLimit: "within_limit"
    case .limited: "limited"
    case .limitedInShadow: "limited_in_shadow"
    case .tooLarge: "too_large"
    }
  }
}

/// How often a filter did what. Any thread adds, at any time.
public final class FilterCounters: Sendable {
  private let values: InlineArray<13, Atomic<UInt64>> = InlineArray { _ in Atomic(0) }

  init() {}

  func add(_ event: FilterEvent) { values[event.rawValue].wrappingAdd(1, ordering: .relaxed) }

  public subscript(event: FilterEvent) -> UInt64 { values[event.rawValue].load(ordering: .relaxed) }
}
