import Glibc
import Synchronization

@testable import Netlink

/// Keeps what is sent and answers from a list, or with a bare acknowledgement when the list is empty.
final class RecordingTransport: NetlinkTransport {
  private struct State {
    var sent: [[UInt8]] = []
    var replies: [[UInt8]] = []
  }

  private let state: Mutex<State>

  /// `replies` are datagrams, given out in order.
  init(replies: [[UInt8]] = []) {
    state = Mutex(State(replies: replies))
  }

  /// The datagrams that were sent so far.
  var sent: [[UInt8]] { state.withLock { $0.sent } }

  func send(_ datagram: [UInt8]) throws(NetlinkError) {
    state.withLock { $0.sent.append(datagram) }
  }

  func receive() throws(NetlinkError) -> [UInt8] {
    state.withLock { state in
      if !state.replies.isEmpty { return state.replies.removeFirst() }
      return NetlinkMessage.acknowledgement(of: state.sent.last ?? [])
    }
  }
}
