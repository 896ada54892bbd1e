import Automata
import Testing

@Suite struct MatchingTests {
  /// Full matches.
  static let scenarios: [(pattern: String, matches: [String], refuses: [String])] = [
    ("", [""], ["a"]),
    ("/.*", ["/", "/a?b=c", "/é"], ["", "a/", "/a\n"]),
    ("GET", ["GET"], ["get", "GETS", "AGET"]),
    ("GET|POST", ["GET", "POST"], ["GETPOST", "PUT"]),
    ("/api/v[0-9]+/(users|items)/?", ["/api/v1/users", "/api/v12/items/"], ["/api/v/users", "/api/v1/other"]),
    ("(?i)example\\.com(:[0-9]{1,5})?", ["example.com", "EXAMPLE.com:80"], ["exampleXcom", "example.com:"]),
    ("^/a$", ["/a"], ["/a\n", "x/a"]),
    ("(?m)a$\\n^b", ["a\nb"], ["ab", "a b"]),
    ("\\bfoo\\b.*", ["foo", "foo bar"], ["foobar"]),
    ("a\\Bb", ["ab"], ["a b"]),
    ("(a*)*", ["", "aaaa"], ["b"]),
    ("(?i)k", ["k", "K", "\u{212A}"], ["c"]),
    ("[^a]", ["b", "é", "\n", "😀"], ["a", "", "bb"]),
    (".", ["é", "漢", "😀"], ["", "\n", "ab"]),
    ("\\pL+", ["aé漢"], ["a1"]),
    ("\\p{Greek}", ["Ω"], ["O"]),
    ("\\Qa.b\\E+", ["a.b", "a.bb"], ["axb"]),
    ("a{2,3}", ["aa", "aaa"], ["a", "aaaa"]),
    ("a{,2}", ["a{,2}"], ["a"]),
    ("[[:alpha:]_-]+", ["a_-"], ["1"]),
    ("(?s).\\z", ["\n"], [""]),
    ("a\\bb", [], ["ab", "a b"]),
  ]

  @Test(arguments: scenarios)
  func matchesFully(_ scenario: (pattern: String, matches: [String], refuses: [String])) throws {
    let dfa = try DFA(Regex(parsing: scenario.pattern))
    for text in scenario.matches { #expect(dfa.matchesFully(text), "\(scenario.pattern) on \(text)") }
    for text in scenario.refuses { #expect(!dfa.matchesFully(text), "\(scenario.pattern) on \(text)") }
  }

  @Test func onlyCMatchesWhatIsNoUTF8() throws {
    for bytes: [UInt8] in [[0xFF], [0xC3], [0x80], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80]] {
      #expect(!(try DFA(Regex(parsing: "(?s).*"))).matchesFully(bytes))
      #expect(!(try DFA(Regex(parsing: "[^a]*"))).matchesFully(bytes))
      #expect(try DFA(Regex(parsing: "\\C*")).matchesFully(bytes))
    }
  }

  @Test func matchesInPieces() throws {
    let dfa = try DFA(Regex(parsing: "(/[a-z]+)+é"))
    let text = Array("/abc/def/ghié".utf8)
    for cut in 0...text.count {
      var state = dfa.start
      state = text[..<cut].withUnsafeBytes { dfa.step(state, $0) }
      #expect(!dfa.isDead(state))
      for byte in text[cut...] { state = dfa.step(state, byte) }
      #expect(dfa.isAccepting(state))
    }
    #expect(dfa.isDead("x".utf8.reduce(dfa.start) { dfa.step($0, $1) }))
  }

  @Test func searches() throws {
    let dfa = try DFA(Regex(parsing: "b+$|^x"), matching: .partial)
    for text in ["ab", "bb", "xa"] { #expect(dfa.matchesFully(text)) }
    for text in ["ba", "ax", ""] { #expect(!dfa.matchesFully(text)) }
  }

  @Test func saysWhichOfManyMatch() throws {
    let patterns = ["/.*", "/api/.*", "/api/v1/auth", "x", ""].map { try? Regex(parsing: $0) }.compactMap { $0 }
    let set = try RegexSet(patterns)
    #expect(set.parts.count == 1)
    #expect(set.matches("/api/v1/auth") == [0, 1, 2])
    #expect(set.matches("/x") == [0])
    #expect(set.matches("") == [4])
    #expect(set.matches("y") == [])
  }

  /// Each pattern is small; together they need a state for each subset.
  @Test func splitsASetThatExplodes() throws {
    let words = (0..<24).map { "\(Character(Unicode.Scalar(UInt8(97 + $0))))" }
    let set = try RegexSet(words.map { try Regex(parsing: ".*\($0).*") })
    #expect(set.parts.count > 1)
    #expect(set.matches("--c-a--w-") == [0, 2, 22])
  }

  @Test func refusesWhatIsTooLarge() throws {
    let pattern = "(a|b)*a(a|b){20}"
    #expect {
      try DFA(Regex(parsing: pattern))
    } throws: {
      "\($0)" == "too large: the automaton of \"\(pattern)\" needs more than 10000 states"
    }
    #expect(throws: DFATooLargeError.self) { try DFA(Regex(parsing: "(\\pL{10}){100}")) }
  }

  @Test func isMinimal() throws {
    // Start, after one a, accepting, dead.
    #expect(try DFA(Regex(parsing: "a(b|b)|ab|a[b]")).stateCount == 4)
    #expect(try DFA(Regex(parsing: "[^\\x00-\\x{10FFFF}]")).stateCount == 1)
  }
}
