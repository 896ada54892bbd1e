import Automata
import Testing

@Suite struct ReplacementTests {
  /// As RE2's GlobalReplace gives them.
  static let cases: [(pattern: String, substitution: String, text: String, expected: String)] = [
    ("^/service/([^/]+)(/.*)$", "\\2/instance/\\1", "/service/foo/v1/api", "/v1/api/instance/foo"),
    ("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
    ("^(.*?)one(.*)$", "\\1two\\2", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/one/zzz"),
    ("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"),
    ("a*", "-", "baac", "-b-c-"),
    ("", "-", "ab", "-a-b-"),
    ("(a)|(b)", "[\\1\\2]", "abc", "[a][b]c"),
    ("(a*)+", "<\\1>", "aab", "<aa>b<>"),
    ("b+?", "c", "abbb", "accc"),
    ("(?U)b+", "c", "abbb", "accc"),
    ("\\bx\\b", "y", "x xx x", "y xx y"),
    ("é", "e", "caf\u{e9}", "cafe"),
    ("x*", "-", "é", "-é-"),
    ("(a{2,3})(a*)", "\\2|\\1", "aaaa", "a|aaa"),
    ("(ab|a)(bc)?", "<\\1,\\2>", "abc", "<ab,>c"),
    ("a", "\\\\\\0", "a", "\\a"),
  ]

  @Test(arguments: cases.indices) func `every match is replaced`(_ index: Int) throws {
    let (pattern, substitution, text, expected) = ReplacementTests.cases[index]
    let replacement = try RegexReplacement(of: Regex(parsing: pattern), with: substitution)
    #expect(replacement.applied(to: text) == expected)
  }

  @Test func `what does not go together is refused`() throws {
    let regex = try Regex(parsing: "(a)")
    #expect(throws: RegexReplacementError.noSuchGroup(2, pattern: "(a)", groups: 1)) {
      try RegexReplacement(of: regex, with: "\\2")
    }
    #expect(throws: RegexReplacementError.danglingBackslash("a\\")) { try RegexReplacement(of: regex, with: "a\\") }
  }
}
