import JSON
import Yams

/// Turns composed nodes into values, by the rules that kubectl reads files by: plain scalars are resolved as in YAML
/// 1.1, keys become strings, `<<` merges.
struct YAMLReader {
  /// Aliases can make a short text describe a huge value; this many nodes are enough for any object.
  private var remaining = 1_000_000
  private var depth = 0

  mutating func value(_ node: Yams.Node) throws(YAMLError) -> JSONValue {
    remaining -= 1
    guard remaining > 0 else { throw error("too many nodes", node) }
    depth += 1
    defer { depth -= 1 }
    guard depth < 512 else { throw error("nested too deeply", node) }
    switch node {
    case .scalar(let scalar): return try self.scalar(scalar, node)
    case .sequence(let sequence):
      var elements: [JSONValue] = []
      for element in sequence { elements.append(try value(element)) }
      return .array(elements)
    case .mapping(let mapping): return .object(try members(mapping))
    case .alias: throw error("alias of an unknown anchor", node)
    }
  }

  private mutating func members(_ mapping: Yams.Node.Mapping) throws(YAMLError) -> [String: JSONValue] {
    var members: [String: JSONValue] = [:]
    var merged: [String: JSONValue] = [:]
    for (key, member) in mapping {
      guard let scalar = key.scalar else { throw error("key is not a scalar", key) }
      let value = try value(member)
      if scalar.string == "<<", scalar.style == .plain {
        for source in value.arrayValue ?? [value] {
          guard let source = source.objectValue else { throw error("merges something that is not a mapping", key) }
          merged.merge(source) { earlier, _ in earlier }
        }
      } else {
        members[scalar.string] = value
      }
    }
    return members.merging(merged) { own, _ in own }
  }

  private func scalar(_ scalar: Yams.Node.Scalar, _ node: Yams.Node) throws(YAMLError) -> JSONValue {
    // Yams leaves these to be text; kubectl does not.
    if scalar.style == .plain, ["y", "Y", "n", "N"].contains(scalar.string),
      node.tag.description == Tag.Name.str.rawValue
    {
      return .bool(scalar.string.lowercased() == "y")
    }
    switch Tag.Name(rawValue: node.tag.description) {
    case .null: return .null
    case .bool:
      guard let bool = Bool.construct(from: scalar) else { throw error("not a boolean", node) }
      return .bool(bool)
    case .int:
      if let integer = Int64.construct(from: scalar) { return .integer(integer) }
      guard let number = Double.construct(from: scalar) else { throw error("not a number", node) }
      return .number(number)
    case .float:
      guard let number = Double.construct(from: scalar), number.isFinite else {
        throw error("not a finite number", node)
      }
      return .number(number)
    default: return .string(scalar.string)
    }
  }

  private func error(_ message: String, _ node: Yams.Node) -> YAMLError {
    YAMLError(message: message, position: node.mark.map { SourcePosition(line: $0.line, column: $0.column) })
  }
}
