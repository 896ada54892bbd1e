public import Addressing

/// What a server answered to a question, checked to be that.
public struct DNSAnswer: Hashable, Sendable {
  public let header: DNSHeader
  /// The addresses of the name that was asked for: those of records that its chain of aliases leads to, in the order of
  /// the message, each once. What a server says about other names is not believed.
  public var addresses: [IPAddress] = []
  /// The aliases on the way, without the name that was asked for.
  public var aliases: [String] = []
  /// Seconds for which all of the chain is valid; nil without addresses.
  public var timeToLive: UInt32?

  private struct Record {
    let owner: String
    let timeToLive: UInt32
    let value: Value

    enum Value {
      case address(IPAddress)
      case alias(String)
    }
  }

  /// Reads a message strictly.
  ///
  /// - Parameters:
  ///   - question: the octets of the question that was asked; letters may come back in another case.
  ///   - name: the name in it.
  public init(_ bytes: UnsafeRawBufferPointer, question: [UInt8], name: String) throws(DNSFault) {
    header = try DNSHeader(bytes)
    guard header.isResponse, header.opcode == 0 else { throw .notAnAnswer }
    var reader = DNSReader(bytes, at: DNSHeader.size)
    if header.questions == 1 {
      let start = reader.at
      try reader.skipName()
      try reader.skip(4)
      guard DNSAnswer.isSame(bytes[start..<reader.at], question) else { throw .otherQuestion }
    } else if header.questions != 0 || header.responseCode == DNSResponseCode.noError {
      // A server that could not read the question may leave it out.
      throw .questionCount
    }
    var records: [Record] = []
    for _ in 0..<header.answers {
      if let record = try DNSAnswer.record(&reader) { records.append(record) }
    }
    for _ in 0..<(Int(header.authorities) + Int(header.additionals)) {
      try reader.skipName()
      try reader.skip(8)
      try reader.skip(Int(try reader.word()))
    }
    guard reader.isAtEnd else { throw .octetsBehindTheEnd }
    if header.responseCode == DNSResponseCode.noError { follow(records, from: name) }
  }

  private static func isSame(_ bytes: Slice<UnsafeRawBufferPointer>, _ question: [UInt8]) -> Bool {
    guard bytes.count == question.count else { return false }
    // Type and class are numbers and no letters.
    let name = question.count - 4
    for (index, pair) in zip(bytes, question).enumerated() where pair.0 != pair.1 {
      let isLetter = 0x61...0x7A ~= pair.0 | 0x20
      guard index < name, isLetter, pair.0 | 0x20 == pair.1 | 0x20 else { return false }
    }
    return true
  }

  private static func record(_ reader: inout DNSReader) throws(DNSFault) -> Record? {
    let owner = try reader.name()
    let type = try reader.word()
    let recordClass = try reader.word()
    let time = try reader.doubleWord()
    let length = Int(try reader.word())
    let start = reader.at
    try reader.skip(length)
    guard recordClass == 1 else { return nil }
    let value: Record.Value
    switch type {
    case DNSType.a:
      guard length == 4 else { throw .addressLength }
      var data = DNSReader(reader.bytes, at: start)
      value = .address(IPAddress(v4: try data.doubleWord()))
    case DNSType.aaaa:
      guard length == 16 else { throw .addressLength }
      var data = DNSReader(reader.bytes, at: start)
      var words: [UInt64] = []
      for _ in 0..<4 { words.append(UInt64(try data.doubleWord())) }
      value = .address(IPAddress(high: words[0] << 32 | words[1], low: words[2] << 32 | words[3]))
    case DNSType.cname:
      var data = DNSReader(reader.bytes, at: start)
      value = .alias(try data.name())
      guard data.at == start + length else { throw .dataLength }
    default: return nil
    }
    // RFC 2181, 8: a value with the high bit is to be taken for zero.
    return Record(owner: owner, timeToLive: time > UInt32(Int32.max) ? 0 : time, value: value)
  }

  private mutating func follow(_ records: [Record], from name: String) {
    var owner = name
    var time = UInt32.max
    // Each name of a chain has one alias, so the walk ends after as many steps as there are records.
    for _ in 0..<records.count {
      let alias = records.lazy.compactMap { record -> (String, UInt32)? in
        if record.owner == owner, case .alias(let target) = record.value { (target, record.timeToLive) } else { nil }
      }.first
      guard let alias, alias.0 != name, !aliases.contains(alias.0) else { break }
      owner = alias.0
      aliases.append(owner)
      time = min(time, alias.1)
    }
    for record in records where record.owner == owner {
      guard case .address(let address) = record.value else { continue }
      time = min(time, record.timeToLive)
      if !addresses.contains(address) { addresses.append(address) }
    }
    if !addresses.isEmpty { timeToLive = time }
  }
}

extension DNSAnswer {
  init(_ message: [UInt8], question: [UInt8], name: String) throws(DNSFault) {
    let result = message.withUnsafeBytes { bytes in
      Result { () throws(DNSFault) in try DNSAnswer(bytes, question: question, name: name) }
    }
    self = try result.get()
  }
}
