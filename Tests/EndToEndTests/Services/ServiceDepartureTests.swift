import Glibc
import JSON
import Testing

private let name = "restless"

extension EndToEnd.ServiceChangeTests {
  private struct Kept {
    let what: String
    let transport: Transport
    let client: KeptClient
  }

  /// Which of the servers are endpoints of the Service, and which of those are ready.
  private func endpoints(_ ready: [String], notReady: [String] = []) throws -> String {
    let node = try SharedNode.node
    return ServiceManifests.documents(
      try Family.allCases.map { family in
        ServiceManifests.slice(
          name, of: name, family, port: 8080,
          try ready.map { .init(address: try node.address(of: $0, family)) }
            + notReady.map { .init(address: try node.address(of: $0, family), conditions: "{ready: false}") })
      })
  }

  private func startServers() throws {
    let node = try SharedNode.node
    for server in ["steady", "leaving"] where try node.kubectl("get", "pod", server).status != 0 {
      try node.runProber(server, labels: "app=\(server)", tcp: [8080], udp: [8080])
    }
    try node.apply(
      ServiceManifests.documents([ServiceManifests.withoutSelector(name), try endpoints(["steady", "leaving"])]))
    try node.waitForService(name, backends: 2)
  }

  private func keep(until server: String, from places: [Place]) throws -> [Kept] {
    try places.flatMap { place in
      try Family.allCases.flatMap { family in
        try Transport.all(family).map { transport in
          Kept(
            what: "\(place), \(transport), \(family)", transport: transport,
            client: try SharedNode.node.keep(until: server, of: name, family, transport, from: place))
        }
      }
    }
  }

  /// An endpoint that is only not ready keeps its clients; when it has gone, they are told at once. Those that name the
  /// address with each datagram need not be told: they get another backend when theirs is not ready any more.
  @Test func `a client is told that its backend has gone`() throws {
    let node = try SharedNode.node
    try startServers()
    let leaving = try keep(until: "leaving", from: [Self.client, .host])
    let steady = try keep(until: "steady", from: [Self.client, .host])
    try node.apply(try endpoints(["steady"], notReady: ["leaving"]))
    try node.waitForService(name, backends: 1)
    usleep(1_500_000)
    for kept in leaving {
      let expected = kept.transport.isUnconnected ? "steady" : "leaving"
      #expect(try kept.client.say() == expected, "not ready is not gone: \(kept.what)")
    }
    let before = ContinuousClock.now
    try node.apply(try endpoints(["steady"]))
    for kept in leaving where !kept.transport.isUnconnected {
      #expect(try kept.client.wait(timeout: 3) == "ECONNABORTED", "\(kept.what)")
    }
    print("services: clients were told after \(ContinuousClock.now - before), kubectl apply included")
    for kept in steady { #expect(try kept.client.say() == "steady", "the others do not notice: \(kept.what)") }
    for family in Family.allCases {
      #expect(try node.ask(node.clusterIP(name, family), 80, from: Self.client, times: 10).names == ["steady"])
    }
  }

  /// What the kernel has of Services, numbers included.
  private func tables() throws -> [JSONValue] {
    let node = try SharedNode.node
    return try [[], ["--backends"], ["--maglev"]].map { section in
      let listed = try node.onNode([Node.binary, "bpf", "lb", "list", "-o", "json"] + section).json()
      return listed.dropping("service")
    }
  }

  private func killAgent() throws {
    let node = try SharedNode.node
    let pid = try #require(node.pid(of: "agent"))
    kill(pid, SIGKILL)
    let again = try eventually(within: 20) {
      try node.pid(of: "agent") != pid && node.martlet("status").status == 0
    }
    #expect(again)
  }

  /// kill -9 while an endpoint becomes ready and not ready fifty times a second: nobody's connection notices, new ones find a
  /// backend at any moment, and in the end the tables are as they should be.
  @Test func `the agent is killed in the middle of updates`() throws {
    let node = try SharedNode.node
    try startServers()
    let steady = try keep(until: "steady", from: [Self.client, .host])
    let leaving = try keep(until: "leaving", from: [Self.client, .host])
    let stop = node.directory + "/stop"
    let flapping = try Child(
      node.invocation(try flapping(), at: .host), output: node.directory + "/flaps", errors: node.directory + "/flaps")
    defer {
      flapping.signal(SIGKILL)
      flapping.wait()
    }
    for _ in 0..<2 {
      try killAgent()
      for family in Family.allCases {
        for place in [Self.client, .host] {
          let tally = try node.ask(
            node.clusterIP(name, family), 80, from: place, times: 1, ["seconds": 0.3, "pause": 0.001])
          #expect(tally.names.isSubset(of: ["steady", "leaving"]), "\(place): \(tally)")
        }
      }
    }
    try write("", to: stop)
    #expect(flapping.wait() == 0, "\(read(node.directory + "/flaps"))")
    print(read(node.directory + "/flaps").trimmed)
    for kept in steady { #expect(try kept.client.say() == "steady", "\(kept.what)") }
    for kept in leaving where !kept.transport.isUnconnected {
      #expect(try kept.client.say() == "leaving", "\(kept.what)")
    }
    try node.apply(try endpoints(["steady", "leaving"]))
    try node.waitForService(name, backends: 2)
    // What is superseded is gone a second later; then nothing differs, whoever wrote it.
    usleep(1_500_000)
    let before = try tables()
    try killAgent()
    usleep(1_500_000)
    #expect(try tables() == before)
    for kept in steady + leaving where !kept.transport.isUnconnected {
      #expect(["steady", "leaving"].contains(try kept.client.say()), "\(kept.what)")
    }
    // A backend that goes is still known by its number, also one that was not ready when the agent was killed.
    try node.apply(try endpoints(["steady"], notReady: ["leaving"]))
    try node.waitForService(name, backends: 1)
    usleep(1_200_000)
    try killAgent()
    try node.apply(try endpoints(["steady"]))
    for kept in leaving where !kept.transport.isUnconnected {
      #expect(try kept.client.wait(timeout: 3) == "ECONNABORTED", "\(kept.what)")
    }
  }

  /// Arguments of a program that has one server be ready and not ready, in both families, fifty times a second, until there
  /// is a file `stop`. It fails when a write is not taken.
  private func flapping() throws -> [String] {
    let node = try SharedNode.node
    let writes = try [false, true].flatMap { isReady in
      try Family.allCases.map { family -> JSONValue in
        let endpoints = try [("steady", true), ("leaving", isReady)].map { server, ready -> JSONValue in
          ["addresses": [.string(try node.address(of: server, family))], "conditions": ["ready": .bool(ready)]]
        }
        return ["slice": .string("\(name)-\(family)"), "endpoints": .array(endpoints)]
      }
    }
    try write(JSONValue.array(writes).text(), to: node.directory + "/flaps.json")
    let program = """
      import http.client, json, os, ssl, sys, time
      directory, token = sys.argv[1:]
      server = http.client.HTTPSConnection("127.0.0.1", 6443, context=ssl._create_unverified_context())
      headers = {"Authorization": "Bearer " + token, "Content-Type": "application/merge-patch+json"}
      flaps, writes, begun = 0, json.load(open(directory + "/flaps.json")), time.monotonic()
      while not os.path.exists(directory + "/stop"):
          for write in writes:
              path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/" + write["slice"]
              server.request("PATCH", path, json.dumps({"endpoints": write["endpoints"]}), headers)
              answer = server.getresponse()
              answer.read()
              if answer.status != 200: sys.exit("the API answers " + str(answer.status))
          flaps += 1
          time.sleep(max(0, begun + flaps / 50 - time.monotonic()))
      print("services:", round(flaps / (time.monotonic() - begun), 1), "flaps a second")
      """
    return ["python3", "-c", program, node.directory, node.token]
  }
}

extension JSONValue {
  /// Without the members of this name, wherever they are.
  fileprivate func dropping(_ name: String) -> JSONValue {
    switch self {
    case .array(let values): .array(values.map { $0.dropping(name) })
    case .object(let members): .object(members.filter { $0.key != name }.mapValues { $0.dropping(name) })
    default: self
    }
  }
}
