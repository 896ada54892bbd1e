import Labels
import Testing

@Suite struct LabelsTests {
  @Test(
    arguments: [
      ("", ["a": "b"], true), ("a=b", ["a": "b"], true), ("a==b", ["a": "b"], true), ("a=b", ["a": "c"], false),
      ("a!=b", ["a": "c"], true), ("a!=b", [:], true), ("a in (x, y)", ["a": "y"], true), ("a in (x)", [:], false),
      ("a notin (x,y)", ["a": "z"], true), ("a notin (x,y)", ["a": "x"], false), ("a", ["a": ""], true),
      ("a", [:], false),
      ("!a", [:], true), ("!a", ["a": "1"], false), ("a=b,c", ["a": "b", "c": "d"], true), ("a=b,c", ["a": "b"], false),
      ("a=", ["a": ""], true),
    ] as [(String, LabelSet, Bool)])
  func kubectlSyntax(_ text: String, _ labels: LabelSet, _ expected: Bool) throws {
    let selector = try LabelSelector(parsing: text)
    #expect(selector.matches(labels) == expected)
    #expect(try LabelSelector(parsing: selector.description) == selector)
  }

  @Test(arguments: ["=a", "a b", "a in x", "a within (x)", ",", "a=b,,c", "!"])
  func refusesOtherText(_ text: String) {
    #expect(throws: SelectorSyntaxError.self) { try LabelSelector(parsing: text) }
  }
}
