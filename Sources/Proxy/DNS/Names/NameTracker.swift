import Addressing
import CLinux
import Files
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Where the engine tells what it learned.
public struct NameTrackerConfiguration: Sendable {
  /// The table of names, which the agent replaces, its socket, and the journal.
  public var files: ProxyFiles
  /// How long an answer may wait for the agent; after that it goes to the client, whose traffic to an address that the
  /// kernel does not know is denied.
  public var patience: Duration = .milliseconds(500)
  var addresses: (any AddressTable)?

  public init(files: ProxyFiles) {
    self.files = files
  }
}

/// Sees to it that the datapath knows an address before the client does. When the identity that the address needs is in
/// the agent's table, the tracker writes the datapath's map itself, agent or no agent; else the answer waits until the
/// agent has made one.
final class NameTracker {
  struct Held {
    let exchange: DNSExchange
    let answer: DNSAnswer
    let message: [UInt8]
    let deadline: UInt64
  }

  private struct Reported {
    let addresses: [IPAddress]
    let expires: Int64
  }

  private let configuration: NameTrackerConfiguration
  private let epoll: Int32
  private let patience: UInt64
  private var table = NameTable()
  private var sets: [UInt32: NameTable.Key] = [:]
  /// Name -> the patterns that it matches, as far as asked for.
  private var matches: [String: [DNSNamePattern]] = [:]
  private var reported: [String: Reported] = [:]
  private var link: AgentLink
  private var journal: NameJournal
  private var lastID: Int64 = 0
  private var unacknowledged: [Int64: [LearnedName]] = [:]
  /// The last report with which the journal was sent.
  private var journalID: Int64?
  private var held: [Int64: Held] = [:]
  private var released: [Held] = []
  private let notifier: Int32

  static let linkNumber: UInt64 = 0
  static let fileNumber: UInt64 = 1
  private static let maximumNames = 65536
  private static let namesOfReport = 256

  init(_ configuration: NameTrackerConfiguration, epoll: Int32) {
    self.configuration = configuration
    self.epoll = epoll
    patience = configuration.patience.nanoseconds
    link = AgentLink(path: configuration.files.nameSocket)
    journal = NameJournal(path: configuration.files.nameJournal)
    notifier = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
  }

  deinit { if notifier >= 0 { close(notifier) } }

  func start(now: UInt64) {
    try? StateFiles.makeDirectories(configuration.files.folder)
    if notifier >= 0 {
      inotify_add_watch(notifier, configuration.files.folder, UInt32(IN_MOVED_TO | IN_CLOSE_WRITE))
      watch(notifier, NameTracker.fileNumber)
    }
    load()
    sweep(now: now)
  }

  func stop() {
    for names in unacknowledged.values { for learned in names { journal.append(learned) } }
    link.close()
  }

  /// When something has to be done although nothing comes.
  var deadline: UInt64? { released.isEmpty ? held.values.lazy.map(\.deadline).min() : 0 }

  // MARK: Answers

  /// Whether an answer may go to its client now; else it is kept and comes back by `collect`.
  func mayPass(_ exchange: DNSExchange, _ answer: DNSAnswer, _ message: [UInt8], now: UInt64) -> Bool {
    guard !answer.addresses.isEmpty, let time = answer.timeToLive else { return true }
    let patterns = patterns(matching: exchange.query.name)
    let seconds = NameTracker.seconds()
    // A name that no policy selects is told too, so that a policy which selects it later finds its addresses; but nobody
    // waits for that.
    let state = patterns.isEmpty ? .written : tell(answer.addresses, patterns)
    // A client may use the answer as long as it lasts, so what was told must last about as long.
    let life = Int64(max(1, min(time, 7 * 86400)))
    let known = reported[exchange.query.name]
    let isTold = known.map { told in
      told.expires >= seconds + life && answer.addresses.allSatisfy(told.addresses.contains)
    }
    if state != .unknown, isTold == true { return true }
    // Beyond its time an address may be taken back at any moment: only the agent can say that it stays.
    let mustWait = state == .unknown || (state == .present && (known?.expires ?? 0) < seconds)
    let learned = LearnedName(
      name: exchange.query.name, addresses: answer.addresses, expires: seconds + life + max(1, life / 4))
    if reported.count >= NameTracker.maximumNames { reported = [:] }
    let others = known.map { $0.expires >= seconds ? $0.addresses : [] } ?? []
    reported[learned.name] = Reported(
      addresses: learned.addresses + others.filter { !learned.addresses.contains($0) }.prefix(64),
      expires: learned.expires)
    guard let id = report([learned]) else {
      if !patterns.isEmpty { journal.append(learned) }
      return true
    }
    guard mustWait else { return true }
    held[id] = Held(exchange: exchange, answer: answer, message: message, deadline: now &+ patience)
    return false
  }

  /// The answers that may go now.
  func collect(now: UInt64) -> [Held] {
    for (id, waiting) in held where waiting.deadline <= now {
      held[id] = nil
      released.append(waiting)
    }
    defer { released = [] }
    return released
  }

  private func patterns(matching name: String) -> [DNSNamePattern] {
    if table.patterns.isEmpty { return [] }
    if let known = matches[name] { return known }
    let found = table.patterns(matching: name)
    if matches.count >= NameTracker.maximumNames { matches = [:] }
    matches[name] = found
    return found
  }

  /// What the datapath knows of some addresses.
  private enum Knowledge {
    /// Not all of them have the identity that they need.
    case unknown
    /// They have, some since earlier.
    case present
    /// They have since now.
    case written
  }

  /// Makes the datapath know the addresses by identities that exist.
  private func tell(_ addresses: [IPAddress], _ patterns: [DNSNamePattern]) -> Knowledge {
    guard let map = configuration.addresses else { return .unknown }
    var state = Knowledge.written
    for address in addresses {
      let present = map.identity(address).flatMap { sets[$0] }?.patterns ?? []
      if patterns.allSatisfy(present.contains) {
        if state == .written { state = .present }
        continue
      }
      let all = Set(present).union(patterns).sorted()
      guard let identity = table.identities[table.key(address, all)], map.set(address, identity: identity) else {
        state = .unknown
        continue
      }
    }
    return state
  }

  // MARK: The agent

  /// - Returns: the report's id; nil when there is no agent to take it.
  private func report(_ names: [LearnedName]) -> Int64? {
    guard link.isUp else { return nil }
    lastID += 1
    guard link.send(NameReport(id: lastID, names: names)) else {
      disconnected()
      return nil
    }
    unacknowledged[lastID] = names
    return lastID
  }

  /// Something is to be read at one of the two descriptors.
  func receive(number: UInt64, now: UInt64) {
    if number == NameTracker.fileNumber {
      var buffer = [UInt8](repeating: 0, count: 4096)
      while read(notifier, &buffer, buffer.count) > 0 {}
      return load()
    }
    guard let ids = link.receive() else { return disconnected() }
    for id in ids {
      unacknowledged[id] = nil
      if let waiting = held.removeValue(forKey: id) { released.append(waiting) }
      if id == journalID {
        journal.clear()
        journalID = nil
      }
    }
  }

  private func disconnected() {
    link.close()
    journalID = nil
    for names in unacknowledged.values { for learned in names { journal.append(learned) } }
    unacknowledged = [:]
    // The agent that held them up is gone; what it has not told the kernel is denied until the next one does.
    released += held.values
    held = [:]
  }

  /// Called now and then.
  func sweep(now: UInt64) {
    guard link.connect(now: now) else { return }
    watch(link.fd, NameTracker.linkNumber)
    journal.measure()
    guard !journal.isEmpty else { return }
    var names = journal.entries(now: NameTracker.seconds())[...]
    if names.isEmpty { return journal.clear() }
    while !names.isEmpty {
      guard let id = report(Array(names.prefix(NameTracker.namesOfReport))) else { return }
      journalID = id
      names = names.dropFirst(NameTracker.namesOfReport)
    }
  }

  private func load() {
    configuration.addresses?.reopen()
    // A table that can not be read leaves the last one: the agent writes it whole.
    guard let content = try? StateFiles.read(configuration.files.nameTable),
      let new = try? NameTable(parsing: content), new != table
    else { return }
    if new.patterns != table.patterns { matches = [:] }
    table = new
    sets = Dictionary(new.identities.map { ($0.value, $0.key) }) { first, _ in first }
    // What other patterns match now has not been told by them.
    reported = [:]
  }

  private func watch(_ fd: Int32, _ number: UInt64) {
    var event = epoll_event()
    event.events = UInt32(CLINUX_EPOLL_IN)
    event.data.u64 = DNSWorker.Source.tracker.rawValue << 56 | number
    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)
  }

  private static func seconds() -> Int64 { Int64(Clock.realtime() / 1_000_000_000) }
}
