import JSON
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    "null", "true", "-1", "1.5", "\"a\\u00e9\\n\"", "[]", "{}", "[1,[2,{\"a\":[]}]]",
    "{\"a\":{\"b\":null},\"c\":\"d\"}",
    "9223372036854775807", "\"\\ud83d\\ude00\"",
  ])
  func roundTrip(_ text: String) throws {
    let value = try JSONValue(parsing: text)
    #expect(try JSONValue(parsing: value.serialized()) == value)
    #expect(try JSONValue(parsing: value.serialized(pretty: true)) == value)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "01", "1.", "+1", "nul", "\"\\x\"", "\"\u{1}\"", "\"\\ud800\"", "{\"a\":1,\"a\":2}",
    "1 2", "'a'", "1e999", "\"abc",
  ])
  func refusesOtherText(_ text: String) {
    #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
  }

  @Test func depthIsLimited() {
    #expect(throws: JSONError.self) { try JSONValue(parsing: String(repeating: "[", count: 100_000)) }
  }

  @Test func cursorNamesTheField() throws {
    let document: JSONValue = ["spec": ["ingress": [["toPorts": 3]], "x/y": ["a": 1]]]
    let ingress = try JSONCursor(document).required("spec").required("ingress").elements()[0]
    #expect(throws: FieldError(path: "spec.ingress[0].toPorts", message: "must be an array, is integer")) {
      try ingress.required("toPorts").elements()
    }
    #expect(throws: FieldError(path: "spec.ingress[0].fromPorts", message: "required")) {
      try ingress.required("fromPorts")
    }
    #expect(throws: FieldError(path: "spec[x/y]", message: "unknown field")) {
      try JSONCursor(document).required("spec").allowOnly(["ingress"])
    }
  }

  @Test func membersCanBeWritten() {
    var value: JSONValue = ["a": ["b": 1]]
    value["a"]?["c"] = 2
    value["a"]?["b"] = nil
    #expect(value == ["a": ["c": 2]])
  }
}
