import Identity
import JSON
import KubernetesAPI
import Policy
import Testing

/// Some policies, and what they make of connections: one line per connection, `FROM TO PORT/PROTOCOL OUTCOME`.
///
/// The judging side is the pod that the policies select: FROM on egress (written `from -> to`), TO on ingress
/// (`from => to`). OUTCOME is `allow`, `deny`, `drop` or `http(METHODS)`; ICMP is written `8/ICMP`, `128/ICMPv6`.
struct Scenario: CustomTestStringConvertible {
  let name: String
  /// And what they refer to.
  let policies: [JSONValue]
  let expectations: String
  /// `STATE` of the first policy, and the paths of its issues.
  var state = PolicyObjectStatus.State.accepted
  var issues: [String] = []
  var options = PolicyOptions()

  init(
    _ name: String, _ policies: [JSONValue], _ expectations: String,
    state: PolicyObjectStatus.State = .accepted, issues: [String] = [], options: PolicyOptions = PolicyOptions()
  ) {
    self.name = name
    self.policies = policies
    self.expectations = expectations
    self.state = state
    self.issues = issues
    self.options = options
  }

  var testDescription: String { name }

  func check(_ cluster: Cluster) throws {
    var book = PolicyBook(node: "n1")
    let (documents, nodes) = book.start(try policies.map { try ClusterInput($0) })
    var allocations = PolicyAllocations()
    let compiled = PolicyCompiler.compile(
      cluster.snapshot(documents, nodes: nodes), options: options, allocations: &allocations)
    try check(compiled, cluster)
    let first = try #require(ObjectKey(of: policies[0], kind: ""))
    let status = try #require(compiled.status[first])
    #expect(status.state == state)
    #expect(status.issues.map(\.path).sorted() == issues.sorted(), "\(status.issues)")
  }

  /// Only the connections.
  func check(_ compiled: CompiledPolicy, _ cluster: Cluster) throws {
    let kernel = KernelLookup(compiled: compiled)
    for line in expectations.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 4).map(String.init)
      try #require(words.count == 5, "\(line)")
      let from = try #require(cluster.peer(words[0]), "\(line)")
      let to = try #require(cluster.peer(words[2]), "\(line)")
      let service = words[3].split(separator: "/")
      let number = try #require(Scenario.protocols[String(service[1])])
      let port = try #require(UInt16(service[0]))
      let (subject, peer, direction): (TestPeer, TestPeer, Direction) =
        words[1] == "->" ? (from, to, .egress) : (to, from, .ingress)
      let (outcome, _) = kernel.decide(subject.identity(kernel), peer.identity(kernel), direction, number, port)
      #expect("\(outcome)" == words[4], "\(line)")
    }
  }

  static let protocols: [String: UInt8] = [
    "TCP": 6, "UDP": 17, "SCTP": 132, "ICMP": 1, "ICMPv6": 58, "GRE": 47,
  ]
}
