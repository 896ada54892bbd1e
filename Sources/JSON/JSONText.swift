/// JSON put together from what is written already.
public enum JSONText {
  /// An object of these members, in their order. Each value must be JSON; no key may be there twice.
  public static func object(_ members: [(key: String, value: [UInt8])]) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(members.reduce(2) { $0 + $1.key.utf8.count + $1.value.count + 4 })
    for (key, value) in members {
      text.append(UInt8(ascii: text.isEmpty ? "{" : ","))
      text += JSONValue.string(key).serialized()
      text.append(UInt8(ascii: ":"))
      text += value
    }
    if text.isEmpty { text.append(UInt8(ascii: "{")) }
    text.append(UInt8(ascii: "}"))
    return text
  }
}
