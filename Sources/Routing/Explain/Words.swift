// Conditions as a person reads them.

extension RouteMatch {
  var pathWords: String {
    let words =
      switch path {
      case .exact(let text): "the path is \"\(text)\""
      case .prefix(""), .prefix("/"): "any path"
      case .prefix(let text): "the path begins with \"\(text)\""
      case .separatedPrefix(let text): "the path is \"\(text)\" or below it"
      case .regex(let regex): "the path matches \"\(regex.regex.pattern)\""
      }
    if case .regex = path { return words }
    return isCaseSensitive ? words : "\(words), in any case"
  }

  /// All that must hold of a request.
  public var words: [String] {
    [pathWords] + headers.map(\.words) + queryParameters.map(\.words)
      + (isGRPC ? ["the content type is gRPC's"] : [])
      + (fraction.map { ["it is of the \($0.numerator) in \($0.denominator) requests"] } ?? [])
  }
}

extension TextMatcher {
  /// Behind the name of what it is about.
  var words: String {
    let words =
      switch pattern {
      case .exact(let text): "is \"\(text)\""
      case .prefix(""): "is there"
      case .prefix(let text): "begins with \"\(text)\""
      case .suffix(let text): "ends with \"\(text)\""
      case .contains(let text): "contains \"\(text)\""
      case .regex(let regex): "matches \"\(regex.regex.pattern)\""
      }
    return ignoresCase ? "\(words), in any case" : words
  }
}

extension HeaderMatcher {
  var words: String {
    let test =
      switch test {
      case .present(let isPresent): isPresent ? "is there" : "is not there"
      case .text(let text): text.words
      case .range(let range): "is a number from \(range.lowerBound) to below \(range.upperBound)"
      }
    let words = "\(inverts ? "not: " : "")the header \(name) \(test)"
    return treatsMissingAsEmpty ? "\(words), a missing one being empty" : words
  }
}

extension QueryParameterMatcher {
  var words: String {
    switch test {
    case .present(let isPresent): "the query parameter \(name) is \(isPresent ? "" : "not ")there"
    case .text(let text): "the query parameter \(name) \(text.words)"
    }
  }
}

extension RetryPolicy {
  /// `up to 3 more times on 5xx and connect-failure`
  public var words: String {
    let on = conditions.map(\.rawValue).sorted().joined(separator: ", ")
    let times = retries == 1 ? "once more" : "up to \(retries) more times"
    return conditions.isEmpty ? "none: no condition is named" : "\(times) on \(on)"
  }
}
