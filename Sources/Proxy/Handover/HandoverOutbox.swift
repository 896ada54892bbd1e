import CLinux
import Synchronization

/// By which clients' connections go to the proxy that follows.
final class HandoverOutbox: Sendable {
  private let link: HandoverLink
  private let isBroken = Atomic<Bool>(false)
  private let sent = Atomic<Int>(0)

  init(_ link: HandoverLink) { self.link = link }

  /// Connections that have gone by it.
  var count: Int { sent.load(ordering: .relaxed) }

  /// Gives the successor a client's socket; the caller closes its own descriptor in any case.
  /// - Returns: false when the successor is gone, or does not read.
  func pass(_ socket: Int32) -> Bool {
    guard send(.connection, socket) else { return false }
    sent.add(1, ordering: .relaxed)
    return true
  }

  /// Gives it the stream of an earlier proxy.
  func pass(_ predecessor: HandoverLink) { _ = send(.predecessor, predecessor.fd) }

  private func send(_ message: HandoverMessage, _ descriptor: Int32) -> Bool {
    guard !isBroken.load(ordering: .relaxed) else { return false }
    do throws(HandoverError) {
      try link.send(message, [descriptor])
      return true
    } catch {
      isBroken.store(true, ordering: .relaxed)
      return false
    }
  }
}

/// How an engine comes to its end.
struct Departure: Sendable {
  /// Who takes the connections that come to rest; nil: they end.
  var outbox: HandoverOutbox?
  /// For what does not come to rest.
  var limit: Duration
}
