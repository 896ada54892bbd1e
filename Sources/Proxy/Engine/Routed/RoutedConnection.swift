import Routing

/// What a connection has beside its `Connection` when its requests are routed. Recycled, as connections are.
final class RoutedConnection {
  /// From 1 on; its place among the worker's.
  let number: UInt32
  /// Changes with each connection that has this number.
  private(set) var stamp: UInt32 = 0
  private(set) var connection: ConnectionPointer?

  // The client's side.

  /// The address that the client connected to.
  private(set) var frontend: SocketAddress
  var policy: ConnectionPolicy
  /// The revision at which `policy` was found.
  var revision: UInt32
  var facts: ConnectionFacts

  // One exchange.

  var listener: RoutedListener?
  var choice: RouteChoice?
  /// nil for a listener without filters.
  var filters: FilterPass?
  var forwarding: Forwarding?
  var cluster: RoutedCluster?
  private(set) var endpoint: RoutedEndpoint?
  /// The backend, also after the exchange has left it.
  private(set) var server: SocketAddress?
  /// Who the client and that backend are.
  var parties: BackendParties?
  /// Whom the connection's present policy was found for, and at which revision of the addresses.
  struct Judged {
    let parties: BackendParties
    let addresses: AddressRevision?
  }
  /// nil while the policy is none that anybody has judged.
  var judged: Judged?
  var hash: UInt64?
  /// What the response sets so that the client's next request gets the same hash.
  var cookies: [[UInt8]] = []
  /// Hubble's drop reason for a backend that policy denies; 0 for none.
  var dropReason: UInt16 = 0

  var deadlines = RoutedDeadlines()
  /// Nanoseconds; 0 for no limit.
  var timeout: UInt64 = 0

  var retry: RetryRules?
  /// Whether the request is one of those that may be sent again.
  var mayRetry = false
  /// Of a request that waits for its next attempt: whether it has come to its end.
  var isComplete = false
  /// Attempts beyond the first.
  private(set) var retries = 0
  /// Endpoints that have failed the request.
  private(set) var tried: [SocketAddress] = []
  var held = HeldRequest()

  /// A request that waits for room at its cluster.
  struct Wait {
    let gate: ClusterGate
    let ticket: UInt64
    let mailbox: WorkerMailbox
  }
  var wait: Wait?
  var wasWoken = false
  private var tickets: UInt64 = 0
  /// Where the attempt has entered, to be left with the endpoint.
  private var gate: ClusterGate?
  /// Where the attempt counts as one of those that are sent again.
  var retryGate: ClusterGate?
  var isHighPriority = false

  /// For who tells of the exchange.
  var notes = ExchangeNotes()

  /// What is still to be said of the proxy's own answer.
  var answer: ArraySlice<UInt8> = []

  init(number: UInt32, _ c: ConnectionPointer, hostname: String) {
    self.number = number
    connection = c
    frontend = c.pointee.serverAddress
    policy = c.pointee.policy
    revision = policy.revision
    facts = ConnectionFacts(hostname: hostname)
    adopt(c)
  }

  /// Begins to serve a connection whose policy has just been found.
  func adopt(_ c: ConnectionPointer) {
    connection = c
    frontend = c.pointee.serverAddress
    policy = c.pointee.policy
    revision = policy.revision
    // Streams of one client follow one another.
    guard
      facts.remote != c.pointee.clientAddress.address || facts.remotePort != c.pointee.clientAddress.port
        || facts.local != frontend.address || facts.localPort != frontend.port
    else { return }
    facts.remoteAddress = c.pointee.clientAddress.address.description
    facts.remote = c.pointee.clientAddress.address
    facts.local = frontend.address
    facts.remotePort = c.pointee.clientAddress.port
    facts.localAddress = frontend.address.description
    facts.localPort = frontend.port
  }

  /// The connection has ended. The timer that is set for it is its successor's.
  func release() {
    connection = nil
    judged = nil
    stamp &+= 1
  }

  func nextTicket() -> UInt64 {
    tickets += 1
    return tickets
  }

  func take(_ endpoint: RoutedEndpoint, _ gate: ClusterGate) {
    leave(failed: false)
    self.gate = gate
    self.endpoint = endpoint
    server = endpoint.address
    endpoint.began()
  }

  /// The exchange is over for the endpoint.
  func leave(failed: Bool) {
    endpoint?.ended(failed: failed)
    endpoint = nil
    let left = gate
    gate = nil
    left?.leave()
  }

  /// What became of the attempt, for who looks for outliers.
  func note(_ outcome: AttemptOutcome) { endpoint?.note(outcome) }

  func endRetry() {
    retryGate?.endRetry()
    retryGate = nil
  }

  /// The request does not wait any more, and will not be sent.
  func withdraw() {
    if let wait { wait.gate.withdraw(wait.ticket, of: number, at: wait.mailbox) }
    wait = nil
  }

  /// Counts an attempt that is followed by another one.
  func noteRetry() {
    retries += 1
    if let server, !tried.contains(server) { tried.append(server) }
  }

  var hasRetries: Bool {
    guard mayRetry, let retry else { return false }
    return retries < Int(retry.policy.retries)
  }

  /// Forgets the exchange. `held` has been given back.
  func endExchange(failed: Bool) {
    leave(failed: failed)
    endRetry()
    withdraw()
    isHighPriority = false
    listener = nil
    choice = nil
    filters = nil
    forwarding = nil
    cluster = nil
    server = nil
    parties = nil
    hash = nil
    cookies = []
    dropReason = 0
    deadlines = RoutedDeadlines()
    timeout = 0
    retry = nil
    mayRetry = false
    notes.clear()
    retries = 0
    tried.removeAll(keepingCapacity: true)
    answer = []
  }
}

/// The request as the client sent it, as far as it has come, for the variables of the response and for another attempt.
struct HeldRequest {
  /// Octets of the head.
  var headLength = 0
  /// Whether the head stands in the connection's block; else, if anywhere, at the start of `buffer`.
  var isInBlock = false
  var buffer: UnsafeMutablePointer<UInt8>?
  var count = 0

  /// All octets that are held.
  var total: Int { (isInBlock ? headLength : 0) + count }
  var hasHead: Bool { isInBlock || buffer != nil }
}
