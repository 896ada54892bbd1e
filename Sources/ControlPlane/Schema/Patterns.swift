import Synchronization

/// Matches `pattern:` of schemas; compiled expressions are kept.
enum Patterns {
  private static let compiled = Mutex<[String: Regex<AnyRegexOutput>?]>([:])

  /// True when the pattern occurs in the text, or is not one that this program can read.
  static func matches(_ text: String, _ pattern: String) -> Bool {
    compiled.withLock { cache in
      if cache[pattern] == nil {
        if cache.count > 4096 { cache.removeAll() }
        cache[pattern] = .some((try? Regex(pattern))?.matchingSemantics(.unicodeScalar))
      }
      guard case .some(.some(let regex)) = cache[pattern] else { return true }
      return text.firstMatch(of: regex) != nil
    }
  }
}
