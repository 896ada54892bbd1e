import Addressing
import Datapath
import Files
import JSON
import Logging
import NodeAPI
import Policy
import ProxyRules

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Keeps what names were answered with, and makes the policy follow: an address has the identity of its names as long as
/// an answer holds or a connection with it lives.
actor NameService {
  private var cache: NameCache
  private let policy: PolicyController
  private let connections: ConnectionTable
  private let path: String
  private let logger: Logger
  private var isDirty = false
  /// Addresses in the kernel that were nobody's at the last look.
  private var suspects: Set<IPAddress> = []

  private static let interval = Duration.seconds(1)
  /// Intervals between two looks for what nobody owns.
  private static let sweepEvery = 30

  init(options: NameCache.Options, policy: PolicyController, connections: ConnectionTable, path: String, logger: Logger)
  {
    cache = NameCache(options: options)
    self.policy = policy
    self.connections = connections
    self.path = path
    self.logger = logger
  }

  var counts: (names: Int, addresses: Int, evicted: Int) { (cache.names.count, cache.addressCount, cache.evicted) }
  var names: [String: [IPAddress: Int64]] { cache.names }

  /// The names that an address was answered for, sorted.
  func owners(_ address: IPAddress) -> [String] { cache.owners(address).sorted() }

  /// What an earlier agent knew.
  func restore() -> [IPAddress: Set<String>] {
    guard let content = try? StateFiles.read(path) else { return [:] }
    do {
      try cache.restore(JSONCursor(try JSONValue(parsing: content)), now: NameService.now())
    } catch {
      logger.error("the names in \(path) can not be read, they are learned anew: \(error)")
    }
    return cache.allOwners
  }

  /// Notes answers; returns when the kernel knows their addresses.
  func learn(_ names: [LearnedName]) async {
    var changed: Set<IPAddress> = []
    let now = NameService.now()
    for learned in names { changed.formUnion(cache.learn(learned, now: now)) }
    isDirty = true
    // Even if nothing changed: a pass under way may be the one that writes these addresses.
    await apply(changed)
    await policy.confirmAddresses(Set(names.flatMap(\.addresses)))
  }

  private func apply(_ changed: Set<IPAddress>) async {
    var delta = PolicyDelta()
    for address in changed { delta.names[address] = cache.owners(address) }
    await policy.apply(delta)
  }

  /// Lets names expire and keeps them for the next agent, until the task is cancelled.
  func run() async {
    var count = 0
    while !Task.isCancelled {
      try? await Task.sleep(for: NameService.interval)
      let changed = cache.expire(now: NameService.now()) { candidates in
        // When it can not be told who lives, everybody does.
        (try? connections.living(candidates)) ?? candidates
      }
      if !changed.isEmpty {
        isDirty = true
        await apply(changed)
      }
      count += 1
      if count % NameService.sweepEvery == 0 { await sweep() }
      save()
    }
    save()
  }

  /// The proxy writes addresses before it tells of them, so only what is nobody's twice is.
  private func sweep() async {
    let unknown = await policy.unknownAddresses()
    let orphans = unknown.intersection(suspects)
    suspects = unknown
    let living = (try? connections.living(orphans)) ?? orphans
    await policy.forgetAddresses(orphans.subtracting(living))
  }

  private func save() {
    guard isDirty else { return }
    isDirty = false
    do { try StateFiles.write(cache.json.serialized(), to: path) } catch {
      logger.error("the names can not be kept for the next agent: \(error)")
    }
  }

  private static func now() -> Int64 { Int64(time(nil)) }
}
