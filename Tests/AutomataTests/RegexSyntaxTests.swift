import Automata
import Testing

/// What is refused, where, and in which words.
@Suite struct RegexSyntaxTests {
  static let refused: [(pattern: String, offset: Int, message: String)] = [
    ("a(b", 1, "missing )"),
    ("ab)", 2, "unexpected )"),
    ("é[a", 2, "missing ]"),
    ("*a", 0, "nothing to repeat"),
    ("a|*", 2, "nothing to repeat"),
    ("a**", 2, "a repetition operator can not follow another"),
    ("a{2,1}", 1, "repetition bounds in the wrong order"),
    ("a{1001}", 1, "repetition count over 1000"),
    ("(a{100}){100}", 8, "nested repetitions amount to more than 1000"),
    ("a\\", 1, "\\ at the end"),
    ("\\y", 0, "unknown escape \\y"),
    ("(a)\\1", 3, "back-references are not supported: they can not be matched in linear time"),
    ("(?=a)", 0, "look-around is not supported: it can not be matched in linear time"),
    ("(?<!a)", 0, "look-around is not supported: it can not be matched in linear time"),
    ("(?P<n>a)(?P<n>b)", 8, "two groups are named n"),
    ("(?P<>a)", 0, "invalid group name"),
    ("(?z)", 0, "unknown group or flag (?z"),
    ("[b-a]", 1, "class range in the wrong order"),
    ("[[:foo:]]", 1, "unknown class [:foo:]"),
    ("\\p{Klingon}", 0, "unknown Unicode class Klingon"),
    ("\\x{110000}", 0, "character over 10FFFF"),
    ("\\x{D800}", 0, "a surrogate is no character"),
    (String(repeating: "(", count: 300), 199, "groups nested deeper than 200"),
  ]

  @Test(arguments: refused)
  func refuses(_ scenario: (pattern: String, offset: Int, message: String)) {
    #expect {
      try Regex(parsing: scenario.pattern)
    } throws: { error in
      guard let error = error as? RegexSyntaxError else { return false }
      return error.offset == scenario.offset && error.message == scenario.message && error.pattern == scenario.pattern
    }
  }

  @Test func saysWhatIsWrongInOneSentence() {
    #expect {
      try Regex(parsing: "/api/(v1")
    } throws: {
      "\($0)" == "invalid regular expression \"/api/(v1\": missing ) at byte 5"
    }
  }
}
