/// Takes a client's first octets as they come and finds the name that it asks for.
///
/// Strict where a lenient reader and the server might disagree about what was said: records and handshake message must
/// be as RFC 8446 (5.1, 4.1.2) and RFC 5246 (6.2.1, 7.4.1.2) have them, of whatever version. The message may come in any
/// number of records. With an encrypted ClientHello the name is the outer one, which is all that is to be seen. An SSL 2
/// hello is no TLS. The work is linear in what comes, however it is cut.
struct ClientHelloReader {
  enum Outcome: Equatable {
    case incomplete
    /// In lower case; nil when the client names no server.
    case hello(name: String?)
    case fault(TLSFault)
  }

  /// The longest ClientHello that is read. Browsers' have about 2,000 octets with post-quantum key shares.
  static let maximumMessage = 16_384
  /// The most octets that may pass before the message is complete, headers of records included.
  static let maximumOctets = 32_768
  /// RFC 8446, 5.1: a record of plaintext is no longer.
  private static let maximumRecord = 16_384

  private var header: [UInt8] = []
  /// Octets of the present record that are still to come.
  private var rest = 0
  private var message: [UInt8] = []
  private var seen = 0
  private var outcome = Outcome.incomplete

  /// Whether anything came at all.
  var hasBegun: Bool { seen > 0 }

  /// Takes what came next. Once there is an outcome it stays, and nothing more is read.
  mutating func consume(_ bytes: UnsafeBufferPointer<UInt8>) -> Outcome {
    var bytes = bytes[...]
    while outcome == .incomplete, !bytes.isEmpty {
      if rest == 0 {
        header.append(bytes.removeFirst())
        seen += 1
        if let fault = headerFault() { outcome = .fault(fault) }
        if header.count == 5 { beginRecord() }
      } else {
        let count = min(rest, bytes.count)
        message.append(contentsOf: bytes.prefix(count))
        bytes = bytes.dropFirst(count)
        rest -= count
        seen += count
        judgeMessage()
      }
      if outcome == .incomplete, seen > ClientHelloReader.maximumOctets { outcome = .fault(.tooLarge) }
    }
    return outcome
  }

  /// What the record's header says wrong as far as it is there: what is no TLS is known by its first octets.
  private func headerFault() -> TLSFault? {
    switch header.count {
    case 1: header[0] == TLSRecord.handshake ? nil : .notTLS
    case 2: header[1] == 3 ? nil : .notTLS
    default: nil
    }
  }

  private mutating func beginRecord() {
    rest = Int(header[3]) << 8 | Int(header[4])
    header.removeAll(keepingCapacity: true)
    if rest == 0 { outcome = .fault(.malformed) }
    if rest > ClientHelloReader.maximumRecord { outcome = .fault(.tooLarge) }
  }

  private mutating func judgeMessage() {
    if let first = message.first, first != TLSRecord.clientHello {
      outcome = .fault(.malformed)
      return
    }
    guard message.count >= 4 else { return }
    let length = Int(message[1]) << 16 | Int(message[2]) << 8 | Int(message[3])
    if length > ClientHelloReader.maximumMessage {
      outcome = .fault(.tooLarge)
      return
    }
    // Nothing may stand behind it: a client has nothing to say before the server has answered.
    if message.count + rest > 4 + length {
      outcome = .fault(.malformed)
      return
    }
    guard message.count == 4 + length else { return }
    do throws(TLSFault) {
      outcome = .hello(name: try ClientHello.serverName(message[4...]))
    } catch {
      outcome = .fault(error)
    }
    message = []
  }
}

/// Numbers of RFC 8446 and RFC 5246.
enum TLSRecord {
  static let alert: UInt8 = 21
  static let handshake: UInt8 = 22
  static let clientHello: UInt8 = 1
}

/// Why a client's octets are no ClientHello that can be judged.
enum TLSFault: Error, Equatable {
  /// Something else than TLS.
  case notTLS
  case malformed
  /// Longer than any ClientHello has to be.
  case tooLarge
}
