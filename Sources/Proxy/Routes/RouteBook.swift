import Addressing
import JSON
import Routing

/// What the agent's files say, as listeners: pure, fed with the files' texts. A file that can not be used leaves the last good
/// one in force.
public struct RouteBook: Sendable {
  private struct Entry: Sendable {
    var file: ListenerFile?
    var listener: RoutedListener?
    var refusal: ListeningAnswer.Rejection?
  }

  private let registry: RouteRegistry
  private var entries: [UInt32: Entry] = [:]
  public private(set) var endpoints = EndpointTable.empty
  private var names: ResolvedNames = [:]

  public init() { self.init(registry: RouteRegistry()) }

  init(registry: RouteRegistry) { self.registry = registry }

  /// The number in the name of a listener's file; nil for other files.
  public static func number(ofFile name: String) -> UInt32? {
    guard name.hasSuffix(".json"), let number = UInt32(name.dropLast(5)), "\(number).json" == name else { return nil }
    return number
  }

  /// Takes the content of the file of a listener; nil: it is gone.
  public mutating func setListener(_ number: UInt32, _ content: [UInt8]?) {
    guard let content else {
      if entries.removeValue(forKey: number) != nil { forgetCounters() }
      return
    }
    var entry = entries[number] ?? Entry()
    do throws(RouteFileError) {
      do throws(RouteFileError) {
        try read(number, content, into: &entry)
      } catch {
        // What was taken over may have another path now, so the error is found out anew.
        guard entry.file != nil else { throw error }
        var fresh = Entry()
        try read(number, content, into: &fresh)
        entry = fresh
      }
    } catch {
      entry.refusal = ListeningAnswer.Rejection(
        reason: error.description, generation: ListenerFile.generation(of: content))
    }
    entries[number] = entry
  }

  /// Forgets the listeners that are not among these.
  mutating func keep(_ numbers: Set<UInt32>) {
    entries = entries.filter { numbers.contains($0.key) }
    forgetCounters()
  }

  private func read(_ number: UInt32, _ content: [UInt8], into entry: inout Entry) throws(RouteFileError) {
    let file = try ListenerFile(content, reusing: entry.file)
    guard file.number == number else { throw RouteFileError("number: is \(file.number) in the file \(number).json") }
    do throws(FieldError) {
      entry.listener = try RoutedListener(
        file, endpoints: endpoints, names: names, registry: registry, reusing: entry.listener)
    } catch {
      throw RouteFileError("\(error)")
    }
    entry.file = file
    entry.refusal = nil
  }

  /// Takes the content of the file of endpoints; nil: it is gone. Throws for one that can not be used.
  public mutating func setEndpoints(_ content: [UInt8]?) throws(RouteFileError) {
    let table = try content.map { (content) throws(RouteFileError) in
      try EndpointTable(content, reusing: endpoints)
    }
    let new = table ?? .empty
    let changes = new.changes(since: endpoints)
    endpoints = new
    guard !changes.isEmpty else { return }
    for (number, entry) in entries {
      entries[number]?.listener = entry.listener?.with(new, names, changes: changes)
    }
  }

  /// The names that are to be resolved.
  var queries: Set<NameQuery> { entries.values.reduce(into: []) { $0.formUnion($1.listener?.queries ?? []) } }

  /// Takes what a name was resolved to.
  mutating func setName(_ query: NameQuery, _ addresses: [IPAddress]) {
    names[query] = addresses
    for (number, entry) in entries {
      entries[number]?.listener = entry.listener?.with(endpoints, names, changed: query)
    }
  }

  /// Forgets what no listener asks for any more.
  mutating func keepNames(_ queries: Set<NameQuery>) { names = names.filter { queries.contains($0.key) } }

  /// The listeners in force.
  public var snapshot: RouteSnapshot { RouteSnapshot(listeners: entries.compactMapValues(\.listener)) }

  /// What the agent is told.
  public var answer: ListeningAnswer {
    ListeningAnswer(
      listeners: entries.compactMapValues { $0.listener == nil ? nil : $0.file?.generation },
      rejected: entries.compactMapValues(\.refusal))
  }

  /// Every listener that there is a file of, by its number.
  public var states: [ListenerState] {
    entries.sorted { $0.key < $1.key }.map {
      ListenerState(
        number: $0.key, generation: $0.value.file?.generation, listener: $0.value.listener, rejection: $0.value.refusal)
    }
  }

  func rejection(of number: UInt32) -> ListeningAnswer.Rejection? { entries[number]?.refusal }

  /// What is counted for objects that have no listener any more.
  private func forgetCounters() { registry.keep(Set(entries.values.compactMap { $0.listener?.object })) }
}

/// What became of a listener's file.
public struct ListenerState: Sendable {
  public let number: UInt32
  /// Of what `listener` is made of.
  public let generation: String?
  /// nil where there was no good file yet.
  public let listener: RoutedListener?
  /// Why the file, as it is now, can not be used.
  public let rejection: ListeningAnswer.Rejection?
}
