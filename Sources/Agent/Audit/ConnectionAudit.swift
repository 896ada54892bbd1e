import Flows
import Policy

/// Judges new connections. Remembers what it found, as most are between the same ends; a new book makes it forget.
struct ConnectionAudit {
  private static let memory = 8192

  private var generation: UInt64 = 0
  private var found: [AuditedSide: AuditBook.Denial?] = [:]

  mutating func follow(_ generation: UInt64) {
    guard self.generation != generation else { return }
    self.generation = generation
    found.removeAll(keepingCapacity: true)
  }

  mutating func denials(_ flow: Flow, _ book: AuditBook) -> [AuditBook.Denial] {
    flow.sides(book).compactMap { side in
      if let known = found[side] { return known }
      let denial = book.denial(
        of: side.subject, side.direction, peer: side.peer, protocol: side.ipProtocol, port: side.port)
      if found.count >= ConnectionAudit.memory { found.removeAll(keepingCapacity: true) }
      found[side] = .some(denial)
      return denial
    }
  }
}
