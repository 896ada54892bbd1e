import Addressing
import JSON
import KubernetesAPI
import TestSupport
import Testing

@testable import Operator

/// The pure part of the controller: what slices should say, and the writes that make them say it.
@Suite struct EndpointSliceTests {
  @Test func endpointsOfAService() throws {
    var world = World()
    try world.service("web", ["ports": [["port": 80, "targetPort": 8080]], "ipFamilies": ["IPv4", "IPv6"]])
    try world.pod("a", ["10.0.0.1", "fd00::1"])
    try world.pod("b", ["10.0.0.2"], ready: false)
    try world.pod("c", ["10.0.0.3"], deleted: true)
    try world.pod("d", [])
    try world.pod("e", ["10.0.0.5"], phase: "Succeeded")
    try world.pod("f", ["10.0.0.6"], labels: ["app": "other"])
    world.settle("web")
    let v4 = try #require(world.slices("IPv4").first)
    #expect(world.slices.count == 2 && v4[path: "metadata", "generateName"] == "web-")
    #expect(v4[path: "metadata", "labels", "kubernetes.io/service-name"] == "web")
    #expect(
      v4[path: "metadata", "labels", "endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io")
    #expect(v4["ports"] == [["name": "", "port": 8080, "protocol": "TCP"]])
    #expect(
      v4["endpoints"]?.arrayValue?.first == [
        "addresses": ["10.0.0.1"], "conditions": ["ready": true, "serving": true, "terminating": false],
        "nodeName": "n1", "targetRef": ["kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"],
      ])
    #expect(world.conditions["b"] == ["ready": false, "serving": false, "terminating": false])
    #expect(world.conditions["c"] == ["ready": false, "serving": true, "terminating": true])
    #expect(world.conditions.keys.sorted() == ["a", "b", "c"])
    #expect(world.slices("IPv6").first?["endpoints"]?.arrayValue?.count == 1)

    try world.service(
      "web", ["ports": [["port": 80, "targetPort": 8080]], "ipFamilies": ["IPv4"], "publishNotReadyAddresses": true])
    world.settle("web")
    #expect(world.slices("IPv6").isEmpty)
    #expect(world.conditions["b"] == ["ready": true, "serving": false, "terminating": false])
    #expect(world.conditions["c"] == ["ready": true, "serving": true, "terminating": true])
  }

  @Test func namedPortsAreResolvedForEachPod() throws {
    var world = World()
    try world.service(
      "web", ["ports": [["name": "http", "port": 80, "targetPort": "web", "appProtocol": "http"]]])
    try world.pod("a", ["10.0.0.1"], ports: [["name": "web", "containerPort": 8080]])
    try world.pod("b", ["10.0.0.2"], ports: [["name": "web", "containerPort": 9090]])
    try world.pod("c", ["10.0.0.3"], ports: [["name": "web", "containerPort": 53, "protocol": "UDP"]])
    world.settle("web")
    let ports = Set(world.slices.map { $0["ports"]?.arrayValue?.first?["port"]?.integerValue })
    #expect(ports == [8080, 9090, nil])
    #expect(world.slices.count { $0["ports"]?.arrayValue?.first?["appProtocol"] == "http" } == 2)
  }

  @Test func hintsFollowTheDistribution() throws {
    var world = World()
    world.book.apply(
      .replaced([try Node(["metadata": ["name": "n1", "labels": ["topology.kubernetes.io/zone": "z"]]])]))
    try world.service("web", ["ports": [["port": 80]], "trafficDistribution": "PreferSameNode"])
    try world.pod("a", ["10.0.0.1"])
    try world.pod("b", ["10.0.0.2"], ready: false)
    world.settle("web")
    let endpoints = try #require(world.slices.first?["endpoints"]?.arrayValue)
    #expect(endpoints[0]["zone"] == "z" && endpoints[1]["hints"] == nil)
    #expect(endpoints[0]["hints"] == ["forZones": [["name": "z"]], "forNodes": [["name": "n1"]]])
  }

  @Test func nobodyIsAnAnswer() throws {
    var world = World()
    try world.service("web", ["ports": [["port": 80]], "clusterIP": "None"])
    world.settle("web")
    #expect(world.slices.map { $0["endpoints"] } == [[]])
    #expect(world.slices.first?[path: "metadata", "labels", "service.kubernetes.io/headless"] == "")
    try world.pod("a", ["10.0.0.1"])
    world.settle("web")
    #expect(world.slices.count == 1 && world.conditions.count == 1)
    world.book.apply(.deleted(ObjectKey(kind: "Pod", namespace: "default", name: "a")) as ReflectorDelta<Pod>)
    world.settle("web")
    #expect(world.slices.map { $0["endpoints"] } == [[]])
  }

  @Test func onlyTheDifferenceIsWritten() throws {
    var world = World()
    try world.service("web", ["ports": [["port": 80]]])
    for index in 0..<250 { try world.pod("p\(index)", ["10.0.1.\(index)"]) }
    #expect(world.settle("web").count == 3)
    #expect(world.slices.map { $0["endpoints"]?.arrayValue?.count ?? 0 }.sorted() == [50, 100, 100])
    #expect(world.settle("web").isEmpty)
    try world.pod("p7", ["10.0.1.7"], ready: false)
    #expect(world.settle("web").count == 1)
    try world.pod("new", ["10.0.2.1"])
    #expect(world.settle("web").count == 1)
    #expect(world.conditions.count == 251)
    // Something that slices do not tell.
    let before = world.book.stale
    try world.pod("new", ["10.0.2.1"], annotation: "x")
    #expect(world.book.stale == before)
  }

  @Test func scalingDownLeavesNoCrumbs() throws {
    var world = World()
    try world.service("web", ["ports": [["port": 80]]])
    for index in 0..<1000 { try world.pod("p\(index)", ["10.1.\(index / 200).\(index % 200)"]) }
    world.settle("web")
    #expect(world.slices.count == 10)
    for index in 0..<1000 where index % 50 != 0 { world.remove(pod: "p\(index)") }
    world.settle("web")
    #expect(world.slices.count == 1 && world.conditions.count == 20)
  }

  @Test func slicesOfAnotherServiceOfThatNameGo() throws {
    var world = World()
    try world.service("web", ["ports": [["port": 80]]])
    world.settle("web")
    let old = world.slices
    try world.service("web", ["ports": [["port": 80]]], uid: "second")
    world.settle("web")
    #expect(world.slices.count == 1 && world.slices != old)
    world.book.apply(.deleted(ObjectKey(kind: "Service", namespace: "default", name: "web")) as ReflectorDelta<Service>)
    // Written while the Service went.
    #expect(world.book.stale.contains(EndpointSliceBook.Name(namespace: "default", name: "web")))
    world.settle("web")
    #expect(world.slices.isEmpty)
    try world.service("api", ["ports": [["port": 80]]])
    world.settle("api")
    try world.service("api", ["ports": [["port": 80]]], selector: nil)
    #expect(world.settle("api").isEmpty && world.slices.count == 1)
  }

  /// Whatever happens in whatever order, the slices say what they would say if they were made from nothing.
  @Test(arguments: 1...8) func anyHistoryEndsAlike(_ seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    var world = World()
    let services: [(String, JSONValue)] = [
      ("web", ["ports": [["port": 80, "targetPort": "web"]], "ipFamilies": ["IPv6", "IPv4"]]),
      ("all", ["ports": [["port": 80]], "publishNotReadyAddresses": true]),
    ]
    for (name, spec) in services { try world.service(name, spec) }
    for step in 0..<400 {
      let name = "p\(random.next() % 150)"
      switch random.next() % 5 {
      case 0: world.remove(pod: name)
      case 1:
        if let slice = world.slices.randomElement(using: &random) { world.remove(slice: slice) }
      default:
        let number = Int(name.dropFirst()) ?? 0
        try world.pod(
          name, ["10.0.0.\(number)", "fd00::\(number + 1)"], ready: random.next() % 3 != 0,
          deleted: random.next() % 5 == 0,
          labels: random.next() % 6 == 0 ? ["app": "other"] : ["app": "x"],
          ports: [["name": "web", "containerPort": .integer(random.next() % 8 == 0 ? 9090 : 8080)]])
      }
      if step % 7 == 0 { for (name, _) in services { world.settle(name) } }
    }
    for (name, _) in services {
      world.settle(name)
      #expect(world.settle(name).isEmpty)
    }
    var fresh = world
    for slice in fresh.slices { fresh.remove(slice: slice) }
    for (name, _) in services { fresh.settle(name) }
    #expect(world.said == fresh.said)
    #expect(world.slices.allSatisfy { $0["endpoints"]?.arrayValue?.count ?? 0 <= 100 })
  }

  @Test func manyServicesAndManyPodsStayQuick() throws {
    var world = World()
    for index in 0..<10_000 {
      try world.service("s\(index)", ["ports": [["port": 80]]], selector: ["app": .string("a\(index)"), "tier": "t"])
    }
    for index in 0..<5000 {
      try world.pod("p\(index)", ["10.2.\(index / 250).\(index % 250)"], labels: ["app": "a0", "tier": "t"])
    }
    for index in 0..<10_000 { world.settle("s\(index)") }
    #expect(world.slices("IPv4").count == 50 + 9999)
    let clock = ContinuousClock()
    var writes = 0
    let time = try clock.measure {
      for index in 0..<20 {
        try world.pod(
          "p\(index)", ["10.2.0.\(index)"], ready: false, labels: ["app": "a0", "tier": "t"])
        #expect(world.book.stale.count == 1)
        writes += world.settle("s0").count
      }
    }
    #expect(writes == 20 && time < .seconds(20))
  }
}

/// A server that takes every write.
private struct World {
  var book = EndpointSliceBook()
  private(set) var stored: [String: JSONValue] = [:]
  private var version = 0

  init() {
    book.apply(.replaced([]) as ReflectorDelta<Service>)
    book.apply(.replaced([]) as ReflectorDelta<Pod>)
    book.apply(.replaced([]) as ReflectorDelta<Node>)
    book.apply(.replaced([]) as ReflectorDelta<EndpointSlice>)
  }

  var slices: [JSONValue] { stored.sorted { $0.key < $1.key }.map(\.value) }
  func slices(_ family: JSONValue) -> [JSONValue] { slices.filter { $0["addressType"] == family } }

  /// The conditions of the IPv4 endpoints by the name of their pod.
  var conditions: [String: JSONValue] {
    var conditions: [String: JSONValue] = [:]
    for endpoint in slices("IPv4").flatMap({ $0["endpoints"]?.arrayValue ?? [] }) {
      conditions[endpoint[path: "targetRef", "name"]?.stringValue ?? ""] = endpoint["conditions"]
    }
    return conditions
  }

  /// Everything that readers of the slices learn.
  var said: Set<JSONValue> {
    var said: Set<JSONValue> = []
    for slice in slices {
      let head: JSONValue = [
        "labels": slice[path: "metadata", "labels"] ?? .null, "ports": slice["ports"] ?? .null,
        "family": slice["addressType"] ?? .null,
      ]
      if slice["endpoints"] == [] { said.insert(head) }
      for endpoint in slice["endpoints"]?.arrayValue ?? [] { said.insert([head, endpoint]) }
    }
    return said
  }

  mutating func service(
    _ name: String, _ spec: JSONValue, selector: JSONValue? = ["app": "x"], uid: String = "first"
  ) throws {
    var spec = spec
    spec["selector"] = selector
    book.apply(
      .applied(try Service(["metadata": ["name": .string(name), "uid": .string(uid)], "spec": spec])))
  }

  mutating func pod(
    _ name: String, _ addresses: [String], ready: Bool = true, deleted: Bool = false, phase: JSONValue = "Running",
    labels: JSONValue = ["app": "x"], ports: JSONValue = [], annotation: JSONValue = ""
  ) throws {
    var metadata: JSONValue = [
      "name": .string(name), "uid": .string("uid-" + name), "labels": labels, "annotations": ["a": annotation],
    ]
    if deleted { metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z" }
    book.apply(
      .applied(
        try Pod([
          "metadata": metadata, "spec": ["nodeName": "n1", "containers": [["name": "c", "ports": ports]]],
          "status": [
            "phase": phase, "podIPs": .array(addresses.map { ["ip": .string($0)] }),
            "conditions": [["type": "Ready", "status": .string(ready ? "True" : "False")]],
          ],
        ])))
  }

  mutating func remove(pod name: String) {
    book.apply(.deleted(ObjectKey(kind: "Pod", namespace: "default", name: name)) as ReflectorDelta<Pod>)
  }

  mutating func remove(slice: JSONValue) {
    let name = slice[path: "metadata", "name"]?.stringValue ?? ""
    stored[name] = nil
    book.forget(EndpointSliceBook.Name(namespace: "default", name: name))
  }

  @discardableResult
  mutating func settle(_ name: String) -> [SliceWrite] {
    _ = book.takeStale(.max) { _ in true }
    let writes = book.writes(EndpointSliceBook.Name(namespace: "default", name: name))
    for write in writes {
      switch write {
      case .create(var slice), .update(var slice):
        version += 1
        if slice[path: "metadata", "name"] == nil {
          slice["metadata"]?["name"] = .string("s-\(version)")
          slice["metadata"]?["uid"] = .string("u-\(version)")
        }
        slice["metadata"]?["resourceVersion"] = .string(String(version))
        stored[slice[path: "metadata", "name"]?.stringValue ?? ""] = slice
        book.note(slice, isOwn: true)
      case .delete(let slice, _):
        stored[slice] = nil
        book.forget(EndpointSliceBook.Name(namespace: "default", name: slice), isOwn: true)
      }
    }
    return writes
  }
}
