import JSON
import Yams

/// Reads request bodies, JSON or YAML.
enum BodyDecoding {
  static func value(_ body: [UInt8], contentType: String) throws(APIStatus) -> JSONValue {
    let type = contentType.prefix { $0 != ";" }
    do {
      if type == "application/yaml" || type == "application/x-yaml" || type == "application/apply-patch+yaml" {
        // JSON is YAML, and clients send it; the JSON parser is the faster reader.
        if let value = try? JSONValue(parsing: body) { return value }
        return try yaml(String(decoding: body, as: UTF8.self))
      }
      return try JSONValue(parsing: body)
    } catch {
      throw .badRequest("error decoding the body: \(error)")
    }
  }

  static func yaml(_ text: String) throws -> JSONValue {
    guard let node = try Yams.compose(yaml: text) else { return .null }
    return try value(of: node)
  }

  private static func value(of node: Node) throws -> JSONValue {
    switch node {
    case .scalar(let scalar):
      if scalar.style == .singleQuoted || scalar.style == .doubleQuoted || node.tag == Tag(.str) {
        return .string(scalar.string)
      }
      switch node.tag.description {
      case Tag(.null).description: return .null
      case Tag(.bool).description: return node.bool.map(JSONValue.bool) ?? .string(scalar.string)
      case Tag(.int).description:
        return node.int.map { .integer(Int64($0)) } ?? .string(scalar.string)
      case Tag(.float).description: return node.float.map(JSONValue.number) ?? .string(scalar.string)
      default: return .string(scalar.string)
      }
    case .sequence(let sequence): return .array(try sequence.map(value(of:)))
    case .mapping(let mapping):
      var members: [String: JSONValue] = [:]
      for (key, member) in mapping {
        guard let key = key.scalar?.string else { throw APIStatus.badRequest("a YAML key must be a scalar") }
        members[key] = try value(of: member)
      }
      return .object(members)
    case .alias: throw APIStatus.badRequest("YAML aliases are not resolved")
    }
  }
}
