import JSON

/// What became of questions to a Service.
struct Tally: CustomStringConvertible {
  /// How often each server answered, or each error came.
  let answers: [String: Int]
  /// What clients were told of their peer: address and port.
  let peers: [String]
  /// The addresses at which servers saw clients.
  let clients: [String]
  let slowestMilliseconds: Int

  init(_ value: JSONValue) throws {
    guard let answers = value["answers"]?.objectValue else { throw Failure("the prober said \(value.text())") }
    self.answers = answers.mapValues { Int($0.integerValue ?? 0) }
    peers = (value["peers"]?.arrayValue ?? []).compactMap(\.stringValue)
    clients = (value["clients"]?.arrayValue ?? []).compactMap(\.stringValue)
    slowestMilliseconds = Int(value["slowest"]?.integerValue ?? 0)
  }

  var names: Set<String> { Set(answers.keys) }
  var count: Int { answers.values.reduce(0, +) }

  var description: String {
    let counts = answers.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    return "\(counts); peers \(peers), clients \(clients), slowest \(slowestMilliseconds) ms"
  }
}

/// How a client sends.
enum Transport: String, CaseIterable, CustomStringConvertible {
  case tcp
  case udp
  /// Without connect(2): the address comes with each datagram.
  case datagrams
  /// As `tcp` and `datagrams`, IPv4 from a socket of IPv6.
  case mappedTCP
  case mappedDatagrams

  var description: String { rawValue }

  static func all(_ family: Family) -> [Transport] {
    family == .ipv4 ? allCases : [.tcp, .udp, .datagrams]
  }

  var isTCP: Bool { self == .tcp || self == .mappedTCP }
  var isUnconnected: Bool { self == .datagrams || self == .mappedDatagrams }

  var question: [String: JSONValue] {
    [
      "protocol": .string(isTCP ? "tcp" : "udp"),
      "mapped": .bool(self == .mappedTCP || self == .mappedDatagrams),
      "unconnected": .bool(isUnconnected),
    ]
  }
}

/// A connection that a prober keeps until this ends.
final class KeptClient {
  private let socket: String
  private let id: JSONValue
  /// What the client was told of its peer.
  let peer: String

  init(_ socket: String, id: String, _ question: [String: JSONValue]) throws {
    self.socket = socket
    self.id = .string(id)
    let answer = try ServiceProber.tell(socket, .object(question.merging(["do": "open", "id": .string(id)]) { $1 }))
    if let error = answer["error"]?.stringValue { throw Failure("no connection to \(question): \(error)") }
    peer = answer["peer"]?.stringValue ?? ""
  }

  deinit { _ = try? ServiceProber.tell(socket, ["do": "close", "id": id]) }

  /// Who answers; an error's name when nobody does.
  func say(timeout: Double = 3) throws -> String {
    let answer = try ServiceProber.tell(socket, ["do": "say", "id": id, "timeout": .number(timeout)])
    return answer["answer"]?.stringValue ?? answer["error"]?.stringValue ?? answer.text()
  }

  /// Waits, without sending, until something comes or the connection ends, and says what.
  func wait(timeout: Double) throws -> String {
    try ServiceProber.tell(socket, ["do": "wait", "id": id, "timeout": .number(timeout)])["answer"]?.stringValue ?? ""
  }
}

extension Node {
  func prober(_ place: Place) -> String { "\(directory)/\(String("\(place)".map { $0 == "/" ? "-" : $0 })).sock" }

  private var program: String { directory + "/service-prober.py" }

  /// A pod with a prober, which is ready. It listens on `tcp` and `udp`; its object has `declared`: NAME=PORT/PROTOCOL.
  func runProber(
    _ name: String, labels: String, tcp: [Int] = [], udp: [Int] = [], declared: [String] = [], stays: Bool = false
  ) throws {
    try ServiceProber.write(to: program)
    let command = proberCommand(.pod(name), tcp, udp, stays: stays)
    try runPod(name, labels: labels, command: command, ports: declared)
    let started = eventually(within: 20) { entries(of: directory).contains("\(name).sock") }
    guard started else { throw Failure("the prober of \(name) does not start\n\(log)") }
  }

  /// A pod with a prober that need not become ready: its object declares `declaredPort`.
  func startProber(_ name: String, labels: [String: String], tcp: [Int], declaredPort: Int) throws {
    try ServiceProber.write(to: program)
    let command = proberCommand(.pod(name), tcp, []).map(JSONValue.string)
    try create("/api/v1/namespaces/default/pods", count: 1) { _ in
      [
        "metadata": ["name": .string(name), "labels": .object(labels.mapValues(JSONValue.string))],
        "spec": [
          "nodeName": .string(self.name), "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
          "containers": [
            [
              "name": "c", "image": "host", "command": .array(command),
              "ports": [["containerPort": .integer(Int64(declaredPort))]],
            ]
          ],
        ],
      ]
    }
    let started = eventually(within: 20) { entries(of: directory).contains("\(name).sock") }
    guard started else { throw Failure("the prober of \(name) does not start\n\(log)") }
  }

  private func proberCommand(_ place: Place, _ tcp: [Int], _ udp: [Int], stays: Bool = false) -> [String] {
    func words(_ kind: String, _ ports: [Int]) -> [String] {
      ports.isEmpty ? [] : ["\(kind)=\(ports.map(String.init).joined(separator: ","))"]
    }
    return ["python3", program, prober(place), "\(place)"] + (stays ? ["stays"] : []) + words("tcp", tcp)
      + words("udp", udp)
  }

  /// A prober on the node or in the world, ended by the caller.
  func startProber(at place: Place, tcp: [Int] = [], udp: [Int] = []) throws -> Child {
    try ServiceProber.write(to: program)
    let child = try Child(
      invocation(proberCommand(place, tcp, udp), at: place), output: directory + "/log", errors: directory + "/log")
    let started = eventually(within: 20) { entries(of: directory).contains("\(place).sock") }
    guard started else { throw Failure("the prober of \(place) does not start\n\(log)") }
    return child
  }

  /// - Parameter more: as the prober knows them: `times`, `seconds`, `same`, `path`, `timeout`, `source` and
  ///   `sourcePort` (the client's), `hops` (that its packets may make), `size` (of a question, and of its answer by UDP).
  func ask(
    _ address: String, _ port: Int, _ transport: Transport = .tcp, from place: Place, times: Int = 1,
    _ more: [String: JSONValue] = [:]
  ) throws -> Tally {
    var question = transport.question
    question["do"] = "ask"
    question["address"] = .string(address)
    question["port"] = .integer(Int64(port))
    question["times"] = .integer(Int64(times))
    question.merge(more) { $1 }
    return try Tally(ServiceProber.tell(prober(place), .object(question)))
  }

  func keep(
    _ address: String, _ port: Int, _ transport: Transport = .tcp, from place: Place, id: String,
    _ more: [String: JSONValue] = [:]
  ) throws -> KeptClient {
    var question = transport.question.merging(more) { $1 }
    question["address"] = .string(address)
    question["port"] = .integer(Int64(port))
    return try KeptClient(prober(place), id: id, question)
  }

  /// A connection to a Service that one of its servers, named so, has.
  func keep(
    until server: String, of service: String, _ family: Family, _ transport: Transport = .tcp, from place: Place
  ) throws -> KeptClient {
    for attempt in 0..<100 {
      let client = try keep(
        clusterIP(service, family), transport.isTCP ? 80 : 53, transport, from: place,
        id: "\(service) \(family) \(transport) \(server) \(attempt)")
      if try client.say() == server { return client }
    }
    throw Failure("\(service) never leads to \(server)")
  }

  /// The cluster's address of a Service.
  func clusterIP(_ service: String, _ family: Family) throws -> String {
    let key = "service/\(service)"
    if let known = addresses.withLock({ $0[key] }) { return known[family == .ipv4 ? 0 : 1] }
    let answer = try kubectl("get", "service", service, "-o", "jsonpath={.spec.clusterIPs[*]}")
    let both = answer.text.split(separator: " ").map(String.init)
    guard both.count == 2 else { throw Failure("Service \(service) has no two addresses: \(answer)") }
    addresses.withLock { $0[key] = both }
    return both[family == .ipv4 ? 0 : 1]
  }

  /// What the agent says of a Service; nil when it knows none.
  func service(_ name: String) throws -> JSONValue? {
    let outcome = try martlet("service", "get", name, "-o", "json")
    return outcome.status == 0 ? try outcome.json() : nil
  }

  /// Waits until every frontend of a Service, in both families, has so many backends.
  func waitForService(_ name: String, backends: Int) throws {
    var seen: JSONValue?
    let inForce = try eventually(within: 20) {
      seen = try service(name)
      let frontends = seen?["frontends"]?.arrayValue ?? []
      return !frontends.isEmpty && frontends.allSatisfy { $0["backends"]?.arrayValue?.count == backends }
    }
    guard inForce else { throw Failure("Service \(name) has not \(backends) backends: \(seen?.text() ?? "unknown")") }
  }

  /// Whether one of the last flows that tell of a Service is of a request that is wanted, told by the proxy.
  func tells(of service: String, client family: Family, _ wanted: (JSONValue) -> Bool) throws -> Bool {
    let expected: JSONValue = ["name": .string(service), "namespace": "default"]
    let client = try address(of: "client", family)
    return try martlet("observe", "--service", service, "--last", "500", "-o", "json").output.split(separator: "\n")
      .contains { line in
        let flow = try JSONValue(parsing: String(line))["flow"]
        guard let flow, flow["destination_service"] == expected, flow[path: "IP", "source"]?.stringValue == client
        else {
          return false
        }
        return wanted(flow)
      }
  }
}
