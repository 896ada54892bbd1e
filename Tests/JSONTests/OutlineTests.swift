import JSON
import Testing

@Suite struct OutlineTests {
  private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

  private func text(_ bytes: [UInt8], _ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }

  @Test func `members and elements`() throws {
    let text = bytes(#" { "a" : [1, {"b": "]}"}, "x\"," ] , "c\n":{"d":null},"e":-1.5e3 } "#)
    let members = try JSONOutline.members(text, in: text.indices)
    #expect(members.map(\.key) == ["a", "c\n", "e"])
    #expect(members.map { self.text(text, $0.range) } == [#"[1, {"b": "]}"}, "x\"," ]"#, #"{"d":null}"#, "-1.5e3"])
    let elements = try JSONOutline.elements(text, in: members[0].range)
    #expect(elements.map { self.text(text, $0) } == ["1", #"{"b": "]}"}"#, #""x\",""#])
    #expect(try JSONOutline.elements(bytes("[]"), in: 0..<2) == [])
    #expect(try JSONOutline.members(bytes("{ }"), in: 0..<3) == [])
  }

  static let strings = [#"["\\"]"#, #"["\\\""]"#, #"["a\\\\","b"]"#, #"["\"\"\\"]"#]

  @Test(arguments: strings) func `where strings end`(_ source: String) throws {
    let text = bytes(source)
    let parts = try JSONOutline.elements(text, in: text.indices).map { try JSONValue(parsing: text[$0]) }
    #expect(.array(parts) == (try JSONValue(parsing: source)))
  }

  @Test(arguments: [
    "", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[\"a]", "[}", "[]]", "[] 1", "{}", "1", "[{]", "null",
  ])
  func `what is no array`(_ source: String) {
    #expect(throws: JSONError.self) { try JSONOutline.elements(Array(source.utf8), in: 0..<source.utf8.count) }
  }

  @Test(arguments: [
    "", "{", "{1:2}", #"{"a"}"#, #"{"a":}"#, #"{"a":1,}"#, #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#, "[]",
  ])
  func `what is no object`(_ source: String) {
    #expect(throws: JSONError.self) { try JSONOutline.members(Array(source.utf8), in: 0..<source.utf8.count) }
  }

  @Test func `parts are left out`() throws {
    let text = bytes(#"xx{"a":{"big":[1,2],"b":"big"},"big":{"big":3},"n":0}"#)
    let partial = try PartialJSON(parsing: text[2...], leavingOut: ["big"])
    #expect(partial.value == ["a": ["big": 0, "b": "big"], "big": 1, "n": 0])
    #expect(partial.parts.map { self.text(text, $0) } == ["[1,2]", #"{"big":3}"#])
    #expect(throws: JSONError.self) { try PartialJSON(parsing: bytes(#"{"a":tru,"big":1}"#)[...], leavingOut: ["big"]) }
  }
}
