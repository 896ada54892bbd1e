import Automata

/// Sets of texts that requests are made of.
enum Languages {
  /// RFC 9110, 5.6.2: a method is a token.
  static let methods = dfa("[!#$%&'*+.^_`|~0-9A-Za-z-]+")
  /// The methods that clients send (RFC 9110, 9; RFC 5789).
  static let standardMethods = dfa("GET|HEAD|POST|PUT|PATCH|DELETE|CONNECT|OPTIONS|TRACE")
  /// RFC 9112, 3.2: the path begins with a slash, or the target is `*`; neither holds a blank or what is not ASCII.
  static let paths = dfa("/[!-~]*|\\*")
  static let withQuery = dfa("[^?]*\\?.*")
  /// RFC 9110, 7.2: a name or an address, and perhaps a port.
  static let hosts = dfa("[!-~]+")

  /// The hosts that a client names when the server is on this port.
  static func hosts(withPort port: UInt16) -> DFA? { dfa("[!-~]+:\(port)") }

  static func dfa(_ pattern: String) -> DFA? {
    guard let regex = try? Regex(parsing: pattern) else { return nil }
    return try? DFA(regex)
  }
}

/// What a pattern looks like to a person, where that differs from what it says.
enum PatternLook {
  private static func isWord(_ byte: UInt8?) -> Bool {
    guard let byte else { return false }
    return 48...57 ~= byte || 65...90 ~= byte || 97...122 ~= byte || byte == UInt8(ascii: "_")
      || byte == UInt8(ascii: "-")
  }

  /// The bytes of the pattern that are neither escaped nor in a class, with their places.
  private static func plain(_ bytes: [UInt8]) -> [Int] {
    var places: [Int] = []
    var index = 0
    var inClass = false
    while index < bytes.count {
      switch bytes[index] {
      case UInt8(ascii: "\\"):
        if index + 1 < bytes.count, bytes[index + 1] == UInt8(ascii: "Q") {
          while index < bytes.count, !(bytes[index] == 92 && index + 1 < bytes.count && bytes[index + 1] == 69) {
            index += 1
          }
        }
        index += 1
      case UInt8(ascii: "[") where !inClass: inClass = true
      case UInt8(ascii: "]") where inClass: inClass = false
      default: if !inClass { places.append(index) }
      }
      index += 1
    }
    return places
  }

  /// The places of dots between letters or digits, as in `example.com`: dots that were meant as dots.
  static func unescapedDots(_ pattern: String) -> [Int] {
    let bytes = Array(pattern.utf8)
    return plain(bytes).filter { place in
      bytes[place] == UInt8(ascii: ".") && place > 0 && isWord(bytes[place - 1]) && place + 1 < bytes.count
        && isWord(bytes[place + 1])
    }
  }

  /// The pattern with those dots escaped, and a text that it matches by accident.
  static func escaping(_ dots: [Int], in pattern: String) -> (pattern: String, accident: String) {
    var escaped: [UInt8] = []
    var accident: [UInt8] = []
    for (index, byte) in pattern.utf8.enumerated() {
      if dots.contains(index) {
        escaped += [UInt8(ascii: "\\"), byte]
        accident.append(UInt8(ascii: "x"))
      } else {
        escaped.append(byte)
        accident.append(byte)
      }
    }
    let text = accident.filter { $0 != UInt8(ascii: "^") && $0 != UInt8(ascii: "$") }
    return (String(decoding: escaped, as: UTF8.self), String(decoding: text, as: UTF8.self))
  }

  /// `/api/*`: a star that was meant as in a shell.
  static func isGlob(_ pattern: String) -> Bool {
    let bytes = Array(pattern.utf8)
    return plain(bytes).contains { place in
      bytes[place] == UInt8(ascii: "*") && place > 0 && bytes[place - 1] == UInt8(ascii: "/")
    }
  }

  /// `/search?q=.*`: a question mark that was meant as itself.
  static func hasPlainQuery(_ pattern: String) -> Bool {
    let bytes = Array(pattern.utf8)
    return plain(bytes).contains { place in
      guard bytes[place] == UInt8(ascii: "?"), place > 0, isWord(bytes[place - 1]) else { return false }
      let name = bytes[(place + 1)...].prefix { isWord($0) }
      return !name.isEmpty && bytes[(place + 1)...].dropFirst(name.count).first == UInt8(ascii: "=")
    }
  }

  /// `^/api`: an anchor at the start alone, as if the rest were free.
  static func isPrefix(_ pattern: String) -> Bool {
    pattern.hasPrefix("^") && !pattern.hasSuffix("$") && !pattern.hasSuffix("*") && !pattern.hasSuffix("+")
  }
}
