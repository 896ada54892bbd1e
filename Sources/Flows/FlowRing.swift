import Synchronization

/// The last flows of this node, and whoever follows them. Bounded: the oldest flow makes room for the newest, and a
/// follower that is too slow is told how many it lost.
public final class FlowRing: Sendable {
  public enum Element: Sendable {
    case flow(Flow)
    /// So many flows passed while this follower's buffer was full.
    case lost(UInt64)
  }

  private struct Follower {
    let continuation: AsyncStream<Element>.Continuation
    var lost: UInt64 = 0
  }

  private struct State {
    var flows: [Flow] = []
    var next = 0
    var seen: UInt64 = 0
    var followers: [UInt64: Follower] = [:]
    var nextFollower: UInt64 = 0
  }

  private let state = Mutex(State())
  public let capacity: Int
  private let followerBuffer: Int

  public init(capacity: Int = 4095, followerBuffer: Int = 8192) {
    self.capacity = capacity
    self.followerBuffer = followerBuffer
  }

  /// How many flows were ever added.
  public var seen: UInt64 { state.withLock { $0.seen } }
  public var count: Int { state.withLock { $0.flows.count } }

  public func append(_ flows: [Flow]) {
    guard !flows.isEmpty else { return }
    state.withLock { state in
      for flow in flows {
        if state.flows.count < capacity {
          state.flows.append(flow)
        } else {
          state.flows[state.next] = flow
          state.next = (state.next + 1) % capacity
        }
      }
      state.seen += UInt64(flows.count)
      for id in state.followers.keys { FlowRing.deliver(flows, to: &state.followers[id]) }
    }
  }

  private static func deliver(_ flows: [Flow], to follower: inout Follower?) {
    guard var receiver = follower else { return }
    for flow in flows {
      if receiver.lost > 0 {
        guard case .enqueued = receiver.continuation.yield(.lost(receiver.lost)) else {
          receiver.lost += 1
          continue
        }
        receiver.lost = 0
      }
      if case .dropped = receiver.continuation.yield(.flow(flow)) { receiver.lost += 1 }
    }
    follower = receiver
  }

  /// The newest `last` flows that match, oldest first.
  public func flows(last: Int = .max, matching filter: FlowFilter = FlowFilter()) -> [Flow] {
    let ordered = state.withLock { state in Array(state.flows[state.next...] + state.flows[..<state.next]) }
    return Array(ordered.filter(filter.matches).suffix(last))
  }

  /// The flows from now on. The stream ends when its reader goes away.
  public func follow() -> AsyncStream<Element> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: Element.self, bufferingPolicy: .bufferingOldest(followerBuffer))
    let id = state.withLock { state in
      state.nextFollower += 1
      state.followers[state.nextFollower] = Follower(continuation: continuation)
      return state.nextFollower
    }
    continuation.onTermination = { [weak self] _ in
      // Later, not here: this runs with the lock of the cancelled task, which a writer that holds the ring's takes to wake
      // that task.
      Task { _ = self?.state.withLock { $0.followers.removeValue(forKey: id) } }
    }
    return stream
  }
}
