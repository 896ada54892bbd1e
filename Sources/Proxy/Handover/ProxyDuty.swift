import Synchronization

/// Which of two proxies speaks to the agent: while one takes the other's place, both follow the agent's files, and only the
/// one that serves acknowledges them and owns the places in the datapath.
public final class ProxyDuty: Sendable {
  private let isOn: Mutex<Bool>

  public init(isOn: Bool = true) { self.isOn = Mutex(isOn) }

  /// Does what only the proxy that serves may do, or nothing. When ``end()`` has returned, none of it goes on.
  func perform(_ body: () -> Void) { isOn.withLock { if $0 { body() } } }

  func begin() { isOn.withLock { $0 = true } }

  func end() { isOn.withLock { $0 = false } }
}
