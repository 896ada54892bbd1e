import Files
import KubernetesAPI
import Logging
import Policy
import Proxy
import Services

/// Puts CiliumEnvoyConfigs in force: tells the proxy, waits for its answer, then has the kernel lead traffic to it.
actor RouteController {
  enum Input: Sendable {
    case configurations(ReflectorDelta<CiliumEnvoyConfig>)
    case clusterwide(ReflectorDelta<CiliumClusterwideEnvoyConfig>)
    /// Of which only this node's labels matter.
    case cluster(ClusterInput)
    /// Look whether the proxy has said something, and what can go.
    case tick
  }

  /// The proxy has so long to answer before traffic goes to it in any case: it reads the files when it starts.
  private static let patience = Duration.milliseconds(500)
  /// A listener outlives the last way to it by so much, for requests that are on their way.
  private static let lingering = Duration.seconds(5)

  private let nodeName: String
  private let services: ServiceController
  private let report: @Sendable ([ObjectKey: PolicyObjectStatus]) -> Void
  private let logger: Logger
  private nonisolated let inbox = Inbox<Input>()
  private var book: EnvoyConfigBook
  private var folder: ListenerFolder
  private let versions: GoodVersions
  private var routes = RoutesInForce()
  /// What the proxy said when that was put in force.
  private var answer = ListeningAnswer()
  /// Listeners that nothing leads to any more: until when they stay, and what their routes name.
  private var leaving: [UInt32: (until: ContinuousClock.Instant, clusters: Set<String>)] = [:]

  /// Why the proxy can not be told.
  private(set) var problem: String?

  init(
    directory: StateDirectory, nodeName: String, services: ServiceController, logger: Logger,
    report: @escaping @Sendable ([ObjectKey: PolicyObjectStatus]) -> Void
  ) {
    self.nodeName = nodeName
    self.services = services
    self.logger = logger
    self.report = report
    folder = ListenerFolder(directory.proxy)
    versions = GoodVersions(folder: directory.routes)
    book = EnvoyConfigBook(numbers: folder.owners, lastNumber: folder.lastNumber, earlier: versions.all)
  }

  /// What became of each object.
  var status: [ObjectKey: PolicyObjectStatus] { routes.status }

  /// Takes the first whole of each kind. To be called before the kernel's services are written, so that what an earlier agent
  /// led to the proxy goes there without a gap.
  func start(_ inputs: [Input]) async { await take(inputs) }

  /// Adds what `run()` will put in force.
  nonisolated func add(_ input: Input) {
    if case .cluster(let input) = input, !RouteController.isAboutNodes(input) { return }
    inbox.add(input)
  }

  /// Works until the task is cancelled.
  func run() async {
    let ticks = Task { [inbox] in
      while !Task.isCancelled {
        try? await Task.sleep(for: .seconds(1))
        inbox.add(.tick)
      }
    }
    defer { ticks.cancel() }
    for await inputs in inbox.batches() { await take(inputs) }
  }

  private func take(_ inputs: [Input]) async {
    var isDue = false
    for input in inputs {
      switch input {
      case .configurations(let delta): book.apply(delta)
      case .clusterwide(let delta): book.apply(delta)
      case .cluster(.nodes(.replaced(let nodes, _))): for node in nodes { take(node) }
      case .cluster(.nodes(.applied(let node))): take(node)
      case .cluster: continue
      case .tick:
        let isCurrent = folder.answer == answer && leaving.values.allSatisfy { $0.until > .now }
        if isCurrent, problem == nil, await services.clusterProblem == nil { continue }
      }
      isDue = true
    }
    if isDue { await putInForce() }
  }

  private static func isAboutNodes(_ input: ClusterInput) -> Bool { if case .nodes = input { true } else { false } }

  private func take(_ node: Node) { if node.metadata.name == nodeName { book.setNode(node.metadata.labels) } }

  /// New endpoints, then listeners, then the way to them; what nobody is led to any more goes last.
  private func putInForce() async {
    problem = nil
    removeLeft()
    let wanted = book.routes(folder.answer)
    await services.setClusters(names(wanted).union(names(routes)))
    let written = wanted.files.values.filter { folder.generations[$0.number] != $0.generation }
    var untold: [UInt32: String] = [:]
    for file in written {
      do throws(FileError) {
        // First, so that no agent gives it to another listener.
        try folder.setLastNumber(book.lastNumber)
        try folder.write(file)
      } catch {
        untold[file.number] = "\(error)"
        problem = "\(error)"
        logger.error("the proxy is not told of \(file.id.object): \(error)")
      }
    }
    let told = written.filter { untold[$0.number] == nil }
    if !told.isEmpty { await answers(to: told) }
    let before = routes
    answer = folder.answer
    routes = book.routes(answer, untold: untold)
    await services.setRedirects(routes.redirects)
    for number in folder.generations.keys where routes.files[number] == nil && leaving[number] == nil {
      leaving[number] = (ContinuousClock.now + RouteController.lingering, before.clusters[number] ?? [])
    }
    for number in routes.files.keys { leaving[number] = nil }
    await services.setClusters(names(routes))
    if problem == nil { problem = await services.clusterProblem }
    book.forget(Set(book.numbers.values).subtracting(routes.files.keys).subtracting(folder.generations.keys))
    let touched = book.takeTouched()
    tell(before.status, touched)
    keep(touched)
  }

  private func keep(_ touched: [ObjectKey: EnvoyConfig?]) {
    for (key, version) in touched {
      do throws(FileError) { try versions.set(key, version) } catch {
        logger.error("\(key) is not kept for the next agent: \(error)")
      }
    }
  }

  private func names(_ routes: RoutesInForce) -> Set<String> {
    (Array(routes.clusters.values) + leaving.values.map { $0.clusters }).reduce(into: []) { $0.formUnion($1) }
  }

  private func answers(to files: [ListenerDocument]) async {
    let deadline = ContinuousClock.now + RouteController.patience
    while ContinuousClock.now < deadline {
      if files.allSatisfy(folder.answer.isAbout) { return }
      try? await Task.sleep(for: .milliseconds(1))
    }
    logger.warning("the proxy has not taken up \(files.count) listeners yet")
  }

  private func removeLeft() {
    let gone = Set(leaving.filter { $0.value.until <= .now }.keys)
    for number in gone {
      do throws(FileError) { try folder.remove(number) } catch {
        problem = "\(error)"
        continue
      }
      leaving[number] = nil
      book.forget([number])
    }
  }

  private func tell(_ before: [ObjectKey: PolicyObjectStatus], _ touched: [ObjectKey: EnvoyConfig?]) {
    let news = routes.status.filter { before[$0.key] != $0.value || touched[$0.key] != nil }
    guard !news.isEmpty else { return }
    for (key, status) in news.sorted(by: { $0.key < $1.key }) {
      let issues = status.issues.map(\.description).joined(separator: "; ")
      switch status.state {
      case .accepted: logger.info("\(key) is in force")
      case .partial: logger.warning("\(key) is in force, but \(issues)")
      case .rejected: logger.error("\(key) is rejected: \(issues)")
      }
    }
    report(news)
  }
}
