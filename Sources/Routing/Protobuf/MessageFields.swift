/// What Martlet makes of each field of a protobuf message of Envoy's. A field that is in none of the lists is unknown.
struct MessageFields: Sendable {
  /// The full name: `envoy.config.route.v3.RouteMatch`.
  let message: String
  /// Decoded, and done as Envoy does it.
  let read: Set<String>
  /// Accepted with any value, for it changes nothing that a client or a server could see.
  let withoutEffect: Set<String>
  /// Known to Envoy and refused here, unless they are written as what they are by default.
  let refused: Set<String>
  /// Both spellings of proto3's JSON mapping, `safe_regex` and `safeRegex`, to the field's name.
  private let names: [String: String]

  init(_ message: String, read: [String], withoutEffect: [String] = [], refused: [String] = []) {
    self.message = message
    self.read = Set(read)
    self.withoutEffect = Set(withoutEffect)
    self.refused = Set(refused)
    var names: [String: String] = [:]
    for name in read + withoutEffect + refused {
      names[name] = name
      names[MessageFields.jsonName(name)] = name
    }
    self.names = names
  }

  func name(_ key: String) -> String? { names[key] }

  /// `lowerCamelCase`, as protoc derives it: an underscore goes, and the letter behind it becomes a capital.
  static func jsonName(_ name: String) -> String {
    var result = ""
    var capital = false
    for character in name {
      if character == "_" {
        capital = true
      } else {
        result += capital ? character.uppercased() : String(character)
        capital = false
      }
    }
    return result
  }
}
