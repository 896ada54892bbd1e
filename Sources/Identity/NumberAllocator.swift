/// Gives numbers of a range to keys and takes them back; a plain value, so that who holds it decides what persists.
public struct NumberAllocator<Key: Hashable & Sendable>: Sendable {
  /// Which number a new key gets.
  public enum Order: Sendable {
    /// The smallest that is free.
    case smallest
    /// The one after the last given, so that a number is reused as late as possible: what still carries an old number
    /// (a connection, an event under way) is not taken for its new owner.
    case cycling
  }

  public let range: ClosedRange<UInt32>
  public let order: Order
  public private(set) var numbers: [Key: UInt32] = [:]
  public private(set) var keys: [UInt32: Key] = [:]
  /// For `smallest` no number below is free; for `cycling` it is the next to try.
  private var next: UInt32

  public init(range: ClosedRange<UInt32>, order: Order) {
    self.range = range
    self.order = order
    self.next = range.lowerBound
  }

  public subscript(key: Key) -> UInt32? { numbers[key] }

  /// The key's number, the one it has or a new one; nil when the range is exhausted.
  public mutating func allocate(_ key: Key) -> UInt32? {
    if let number = numbers[key] { return number }
    guard keys.count < range.count else { return nil }
    while keys[next] != nil { next = following(next) }
    let number = next
    next = following(number)
    keys[number] = key
    numbers[key] = number
    return number
  }

  /// Restores an assignment; false, changing nothing, when either is taken otherwise or the number is out of range.
  @discardableResult
  public mutating func adopt(_ key: Key, _ number: UInt32) -> Bool {
    if numbers[key] == number { return true }
    guard range.contains(number), numbers[key] == nil, keys[number] == nil else { return false }
    keys[number] = key
    numbers[key] = number
    return true
  }

  public mutating func release(_ key: Key) {
    guard let number = numbers.removeValue(forKey: key) else { return }
    keys[number] = nil
    if order == .smallest { next = min(next, number) }
  }

  private func following(_ number: UInt32) -> UInt32 { number == range.upperBound ? range.lowerBound : number + 1 }
}
