import CMartletABI
import JSON
import KubernetesAPI
import Labels
import Policy
import Proxy
import Services

/// The CiliumEnvoyConfigs and CiliumClusterwideEnvoyConfigs of a cluster as one node follows them: pure.
///
/// An object that can not be followed as it is written is rejected whole, and its last good version keeps serving.
struct EnvoyConfigBook: Sendable {
  private struct Entry: Sendable {
    /// The newest version that could be followed.
    var good: EnvoyConfig?
    /// Why the newest version of all can not.
    var problem: PolicyIssue?
    /// Of `good`, by the listeners' names.
    var files: [String: ListenerDocument] = [:]
    /// What the newest version of all asks for: its resources, serialized, and the rest of its `spec`.
    var asked: (resources: [UInt8], rest: JSONValue)?
  }

  private var entries: [ObjectKey: Entry] = [:]
  /// What an earlier agent followed.
  private var earlier: [ObjectKey: EnvoyConfig]
  /// The objects of which something was told since it was asked.
  private var touched: Set<ObjectKey> = []
  private var labels: LabelSet
  /// The numbers of listeners, also of those that are gone, until they are forgotten.
  private(set) var numbers: [ListenerID: UInt32]
  /// The number that was given last.
  private(set) var lastNumber: UInt32

  /// - Parameters:
  ///   - numbers: those that an earlier agent gave.
  ///   - lastNumber: the one that it gave last.
  ///   - earlier: the last good version of each object that it followed.
  init(
    labels: LabelSet = [:], numbers: [ListenerID: UInt32] = [:], lastNumber: UInt32 = 0, earlier: [EnvoyConfig] = []
  ) {
    self.labels = labels
    self.earlier = Dictionary(earlier.map { ($0.key, $0) }) { $1 }
    self.numbers = numbers
    self.lastNumber = max(lastNumber, numbers.values.max() ?? 0)
  }

  /// The labels of this node.
  mutating func setNode(_ labels: LabelSet) { self.labels = labels }

  mutating func apply<Object: EnvoyConfigObject>(_ delta: ReflectorDelta<Object>) {
    switch delta {
    case .replaced(let objects, let invalid):
      let kept = Set(objects.map(\.key)).union(invalid.map(\.key))
      for key in entries.keys where key.kind == Object.resource.kind && !kept.contains(key) { entries[key] = nil }
      touched.formUnion(earlier.keys.filter { $0.kind == Object.resource.kind })
      for object in objects { set(object) }
      for object in invalid { reject(object.key, object.error) }
      earlier = earlier.filter { $0.key.kind != Object.resource.kind }
    case .applied(let object): set(object)
    case .deleted(let key):
      entries[key] = nil
      touched.insert(key)
    case .invalid(let key, _, let error): reject(key, error)
    }
  }

  private mutating func set(_ object: some EnvoyConfigObject) {
    let (text, rest) = (object.spec.resources.value.serialized(), object.specWithoutResources)
    let entry = entries[object.key]
    // A change of its status alone.
    if let asked = entry?.asked, asked.resources == text, asked.rest == rest { return }
    do throws(FieldError) {
      entries[object.key] = Entry(good: try EnvoyConfig(object, text: text, reusing: entry?.good))
    } catch {
      reject(object.key, error)
    }
    entries[object.key]?.asked = (text, rest)
    touched.insert(object.key)
  }

  private mutating func reject(_ key: ObjectKey, _ error: FieldError) {
    touched.insert(key)
    var entry = entries[key] ?? Entry(good: earlier[key])
    entry.problem = PolicyIssue(path: error.path, message: error.message)
    entry.asked = nil
    entries[key] = entry
  }

  /// The objects of which something was told since the last call, and the version of each that is followed; nil for none.
  mutating func takeTouched() -> [ObjectKey: EnvoyConfig?] {
    defer { touched = [] }
    return Dictionary(uniqueKeysWithValues: touched.map { ($0, entries[$0]?.good) })
  }

  /// What is to be done. Gives numbers to listeners that have none.
  ///
  /// - Parameters:
  ///   - answer: what the proxy says. A listener that it has refused, and serves in no older version, gets no traffic.
  ///   - untold: why the proxy can not be told of a listener. The same holds for it.
  mutating func routes(_ answer: ListeningAnswer = ListeningAnswer(), untold: [UInt32: String] = [:]) -> RoutesInForce {
    var result = RoutesInForce()
    var owners: [ServiceName: [(claim: EnvoyConfig.Claim, object: ObjectKey)]] = [:]
    for (key, entry) in entries where entry.good == nil {
      result.status[key] = PolicyObjectStatus(state: .rejected, issues: [entry.problem].compactMap { $0 })
    }
    let active = entries.values.compactMap(\.good).filter { $0.nodeSelector.matches(labels) }
    for configuration in active.sorted(by: { ($0.created, $0.key) < ($1.created, $1.key) }) {
      var outcome = Outcome(configuration, problem: entries[configuration.key]?.problem)
      var served: [String: UInt32] = [:]
      for name in configuration.listeners {
        let id = ListenerID(object: configuration.key, listener: name)
        guard let number = number(of: id) else {
          outcome.issues.append(
            PolicyIssue(path: "spec.services", message: "there are \(MARTLET_ROUTED_MAX) listeners already"))
          continue
        }
        let file = file(of: id, number, configuration)
        result.files[number] = file
        result.clusters[number] = configuration.clusters[name] ?? []
        let refusal = answer.refusal(of: file).map { "refused by the proxy: \($0)" }
        if let reason = untold[number].map({ "the proxy can not be told: \($0)" }) ?? refusal {
          outcome.refuse(reason, servesOld: answer.listeners[number] != nil)
          if answer.listeners[number] == nil { continue }
        }
        served[name] = number
      }
      for claim in configuration.claims {
        let rivals = owners[claim.service] ?? []
        if let rival = rivals.first(where: { $0.claim.overlaps(claim) }) {
          outcome.issues.append(
            PolicyIssue(path: claim.path, message: claim.lost(to: rival.claim, of: rival.object)))
        }
        owners[claim.service, default: []].append((claim, configuration.key))
        // A younger object does not get the ports of one that is not served.
        result.redirects[claim.service, default: []].append(
          ServiceRedirect(ports: claim.ports, listener: served[claim.listener] ?? 0))
      }
      result.status[configuration.key] = outcome.status
    }
    return result
  }

  /// Of an object's status.
  private struct Outcome {
    var state = PolicyObjectStatus.State.accepted
    var issues: [PolicyIssue] = []

    static let keepsServing = "the last good version keeps serving"

    init(_ configuration: EnvoyConfig, problem: PolicyIssue?) {
      if let problem {
        state = .rejected
        issues = [PolicyIssue(path: problem.path, message: "\(problem.message); \(Outcome.keepsServing)")]
      }
      if configuration.claims.isEmpty {
        issues.append(PolicyIssue(path: "spec.services", message: "is empty, so no traffic goes to the listeners"))
      }
    }

    mutating func refuse(_ reason: String, servesOld: Bool) {
      state = .rejected
      issues.append(
        PolicyIssue(
          path: "spec.resources",
          message: reason + (servesOld ? "; \(Outcome.keepsServing)" : "")))
    }

    var status: PolicyObjectStatus {
      PolicyObjectStatus(state: state == .accepted && !issues.isEmpty ? .partial : state, issues: issues)
    }
  }

  private mutating func file(of id: ListenerID, _ number: UInt32, _ configuration: EnvoyConfig) -> ListenerDocument {
    if let known = entries[id.object]?.files[id.listener], known.number == number { return known }
    let file = ListenerDocument(number: number, id, configuration)
    entries[id.object]?.files[id.listener] = file
    return file
  }

  private mutating func number(of id: ListenerID) -> UInt32? {
    if let known = numbers[id] { return known }
    guard numbers.count < Int(MARTLET_ROUTED_MAX) else { return nil }
    // Not at once again one that was given back: connections may still know it.
    let taken = Set(numbers.values)
    repeat { lastNumber = lastNumber % MARTLET_ROUTED_MAX + 1 } while taken.contains(lastNumber)
    numbers[id] = lastNumber
    return lastNumber
  }

  /// Gives the numbers of listeners back that nobody talks to any more.
  mutating func forget(_ gone: Set<UInt32>) { numbers = numbers.filter { !gone.contains($0.value) } }

}

/// What a node does for all CiliumEnvoyConfigs.
struct RoutesInForce: Hashable, Sendable {
  var files: [UInt32: ListenerDocument] = [:]
  /// The older object first.
  var redirects: [ServiceName: [ServiceRedirect]] = [:]
  /// The clusters of services of each listener, as ``RoutedClusters`` takes them.
  var clusters: [UInt32: Set<String>] = [:]
  /// Of the objects that are for this node, and of those of which nobody can tell.
  var status: [ObjectKey: PolicyObjectStatus] = [:]
}

extension ListeningAnswer {
  /// Why the proxy does not serve a listener as its file is now; nil when it does, or has not said.
  func refusal(of file: ListenerDocument) -> String? {
    guard let rejection = rejected[file.number], listeners[file.number] != file.generation else { return nil }
    return rejection.generation == nil || rejection.generation == file.generation ? rejection.reason : nil
  }

  /// Whether the proxy has said something of a listener as its file is now.
  func isAbout(_ file: ListenerDocument) -> Bool {
    listeners[file.number] == file.generation || refusal(of: file) != nil
  }
}

extension EnvoyConfig.Claim {
  fileprivate func overlaps(_ other: EnvoyConfig.Claim) -> Bool {
    ports.isEmpty || other.ports.isEmpty || !ports.isDisjoint(with: other.ports)
  }

  fileprivate func lost(to other: EnvoyConfig.Claim, of object: ObjectKey) -> String {
    if other.ports.isEmpty { return "\(service) is that of \(object)" }
    let shared = (ports.isEmpty ? other.ports : ports.intersection(other.ports)).sorted()
    return "port \(shared.map(String.init).joined(separator: ", ")) of \(service) is that of \(object)"
  }
}
