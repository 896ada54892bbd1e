/// A query for one name, as a datagram (RFC 1035, 4.1), and what is made of its answers.
public struct DNSQuestion: Hashable, Sendable {
  /// QTYPE: the kinds of addresses.
  public enum Kind: String, CaseIterable, Sendable {
    case a = "A"
    case aaaa = "AAAA"

    var number: UInt8 { self == .a ? 1 : 28 }
  }

  /// The name as it was given.
  public let name: String
  /// The query with the number 0.
  let datagram: [UInt8]

  /// Refuses what is no name of a host, naming its fault.
  public init(_ name: String, _ kind: Kind = .a) throws(LoadError) {
    self.name = name
    var question: [UInt8] = []
    for label in name.split(separator: ".", omittingEmptySubsequences: false) {
      if label.isEmpty, !question.isEmpty, name.hasSuffix("."), label.endIndex == name.endIndex { break }
      guard (1...63).contains(label.utf8.count) else {
        throw LoadError("name \"\(name)\": a label has 1 to 63 bytes, not \(label.utf8.count)")
      }
      question.append(UInt8(label.utf8.count))
      question += label.utf8
    }
    question.append(0)
    guard question.count <= 255 else { throw LoadError("name \"\(name)\" is longer than 255 bytes") }
    // RD, one question.
    datagram = [0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0] + question + [0, kind.number, 0, 1]
  }

  /// RCODE of the answer to the query with this number; nil: it is no answer to that.
  static func code(of answer: UnsafeRawBufferPointer, to number: UInt16) -> Int? {
    guard answer.count >= 12, answer[0] == UInt8(number >> 8), answer[1] == UInt8(number & 0xFF),
      answer[2] & 0x80 != 0
    else { return nil }
    return Int(answer[3] & 0x0F)
  }
}
