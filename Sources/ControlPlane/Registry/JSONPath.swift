import JSON

/// The part of JSONPath that printer columns use: `.a.b`, `.a\.b`, `[0]`, `[*]`, `['a']`, `[?(@.type=="x")]`.
struct JSONPath: Sendable {
  private enum Step: Sendable {
    case member(String)
    case index(Int)
    case all
    case filter(path: [String], value: String)
  }

  private var steps: [Step] = []

  /// Nil when the text uses more than this.
  init?(_ text: String) {
    var rest = Substring(text)
    while let first = rest.first {
      if first == "." {
        rest.removeFirst()
        let name = JSONPath.takeName(&rest)
        if !name.isEmpty { steps.append(.member(name)) }
      } else if first == "[" {
        guard let end = JSONPath.closingBracket(rest) else { return nil }
        let inside = rest[rest.index(after: rest.startIndex)..<end]
        rest = rest[rest.index(after: end)...]
        guard let step = JSONPath.bracketStep(inside) else { return nil }
        steps.append(step)
      } else {
        return nil
      }
    }
  }

  func values(in root: JSONValue) -> [JSONValue] {
    var values = [root]
    for step in steps {
      values = values.flatMap { value -> [JSONValue] in
        switch step {
        case .member(let key): return value[key].map { [$0] } ?? []
        case .index(let index):
          let elements = value.arrayValue ?? []
          let position = index < 0 ? elements.count + index : index
          return elements.indices.contains(position) ? [elements[position]] : []
        case .all: return value.arrayValue ?? value.objectValue.map { Array($0.values) } ?? []
        case .filter(let path, let expected):
          return (value.arrayValue ?? []).filter { $0.scalarText(at: path) == expected }
        }
      }
    }
    return values
  }

  private static func takeName(_ rest: inout Substring) -> String {
    var name = ""
    while let character = rest.first, character != ".", character != "[" {
      rest.removeFirst()
      if character == "\\", let escaped = rest.popFirst() {
        name.append(escaped)
      } else {
        name.append(character)
      }
    }
    return name
  }

  private static func closingBracket(_ text: Substring) -> Substring.Index? {
    var depth = 0
    var quote: Character?
    for index in text.indices {
      let character = text[index]
      if let open = quote {
        if character == open { quote = nil }
        continue
      }
      switch character {
      case "'", "\"": quote = character
      case "[": depth += 1
      case "]":
        depth -= 1
        if depth == 0 { return index }
      default: break
      }
    }
    return nil
  }

  private static func bracketStep(_ inside: Substring) -> Step? {
    if inside == "*" { return .all }
    if let index = Int(inside) { return .index(index) }
    if let first = inside.first, first == "'" || first == "\"", inside.last == first {
      return .member(String(inside.dropFirst().dropLast()))
    }
    guard inside.hasPrefix("?("), inside.hasSuffix(")") else { return nil }
    let condition = inside.dropFirst(2).dropLast()
    guard let sign = condition.firstRange(of: "==") else { return nil }
    var left = condition[..<sign.lowerBound].filter { $0 != " " }[...]
    guard left.hasPrefix("@.") else { return nil }
    left = left.dropFirst(2)
    let right = condition[sign.upperBound...].drop { $0 == " " }
    let value = right.filter { $0 != "'" && $0 != "\"" }
    return .filter(path: left.split(separator: ".").map(String.init), value: String(value))
  }
}

extension PrinterColumn {
  /// A column of a CustomResourceDefinition's `additionalPrinterColumns`.
  init?(additional json: JSONValue) {
    guard let name = json["name"]?.stringValue, let path = json["jsonPath"]?.stringValue.flatMap(JSONPath.init),
      let type = json["type"]?.stringValue
    else { return nil }
    self.init(name: name, path: path, type: type)
    format = json["format"]?.stringValue ?? ""
    description = json["description"]?.stringValue ?? ""
    priority = Int(json["priority"]?.integerValue ?? 0)
  }

  init(name: String, path: JSONPath, type: String = "string") {
    self.init(name: name, type: type) { object, now in
      let values = path.values(in: object)
      guard let first = values.first, !first.isNull else { return .null }
      switch type {
      case "date": return first.stringValue.map { .string(Age.text(since: $0, now: now)) } ?? .null
      case "integer", "number", "boolean": return first
      default:
        return .string(values.map { $0.stringValue ?? $0.text() }.joined(separator: ","))
      }
    }
  }
}
