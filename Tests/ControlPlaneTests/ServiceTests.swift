import Addressing
import JSON
import TestSupport
import Testing

@testable import ControlPlane

/// What the API server of Kubernetes does for Services.
@Suite struct ServiceTests {
  static let path = "api/v1/namespaces/default/services"

  static func service(_ name: String, _ spec: JSONValue, annotations: JSONValue = [:]) -> JSONValue {
    ["metadata": ["name": .string(name), "annotations": annotations], "spec": spec]
  }

  static let http: JSONValue = [["port": 80]]

  @Test func defaults() async throws {
    let server = try makeServer()
    let created = try await server.send(.post, Self.path, Self.service("a", ["ports": Self.http])).body
    let spec = try #require(created["spec"])
    #expect(spec["type"] == "ClusterIP" && spec["sessionAffinity"] == "None")
    #expect(spec["internalTrafficPolicy"] == "Cluster" && spec["externalTrafficPolicy"] == nil)
    #expect(spec["ports"] == [["port": 80, "protocol": "TCP", "targetPort": 80]])
    #expect(spec["ipFamilies"] == ["IPv4"] && spec["ipFamilyPolicy"] == "SingleStack")
    let address = try #require(spec["clusterIP"]?.stringValue.flatMap { IPAddress($0) })
    #expect(try #require(CIDR("10.96.0.0/16")).contains(address) && spec["clusterIPs"] == [spec["clusterIP"] ?? .null])
    #expect(created["status"] == ["loadBalancer": [:]])

    let sticky = try await server.send(
      .post, Self.path,
      Self.service("b", ["ports": Self.http, "sessionAffinity": "ClientIP", "type": "LoadBalancer"])
    ).body
    #expect(sticky["spec"]?["sessionAffinityConfig"] == ["clientIP": ["timeoutSeconds": 10_800]])
    #expect(sticky["spec"]?["externalTrafficPolicy"] == "Cluster")
    #expect(sticky["spec"]?["allocateLoadBalancerNodePorts"] == true)
    let port = try #require(sticky["spec"]?["ports"]?.arrayValue?[0]["nodePort"]?.integerValue)
    #expect(30_000...32_767 ~= port && sticky["spec"]?["healthCheckNodePort"] == nil)
    #expect(sticky["status"] == ["loadBalancer": [:]], "pending without ranges")
  }

  @Test(arguments: [
    ("PreferDualStack", 2, ["IPv4", "IPv6"]), ("RequireDualStack", 2, ["IPv4", "IPv6"]), ("SingleStack", 1, ["IPv4"]),
  ])
  func families(_ policy: String, _ count: Int, _ families: [String]) async throws {
    let server = try makeServer()
    let made = try await server.send(
      .post, Self.path, Self.service("a", ["ports": Self.http, "ipFamilyPolicy": .string(policy)])
    ).body
    #expect(ServiceDocument(made).ipFamilies == families)
    let addresses = ServiceDocument(made).clusterIPs.compactMap { IPAddress($0) }
    #expect(addresses.map { ServiceNetwork.family($0) } == families)
    let six = try await server.send(
      .post, Self.path,
      Self.service("b", ["ports": Self.http, "ipFamilyPolicy": .string(policy), "ipFamilies": ["IPv6"]])
    ).body
    #expect(ServiceDocument(six).ipFamilies == Array(["IPv6", "IPv4"].prefix(count)))
  }

  @Test func headlessAndExternalNames() async throws {
    let server = try makeServer()
    let headless = try await server.send(
      .post, Self.path, Self.service("a", ["clusterIP": "None", "selector": ["a": "b"]])
    ).body
    #expect(headless["spec"]?["clusterIPs"] == ["None"] && headless["spec"]?["ipFamilies"] == ["IPv4"])
    let alone = try await server.send(.post, Self.path, Self.service("b", ["clusterIP": "None"])).body
    #expect(alone["spec"]?["ipFamilies"] == ["IPv4", "IPv6"] && alone["spec"]?["ipFamilyPolicy"] == "RequireDualStack")
    let external = try await server.send(
      .post, Self.path, Self.service("c", ["type": "ExternalName", "externalName": "a.example"]))
    #expect(external.code == 201)
    for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
      #expect(external.body["spec"]?[field] == nil)
    }
  }

  @Test func requestsAreHonouredOrRefused() async throws {
    let server = try makeServer()
    let first = Self.service(
      "a", ["ports": [["port": 80, "nodePort": 30080]], "type": "NodePort", "clusterIP": "10.96.7.7"])
    #expect(try await server.send(.post, Self.path, first).body["spec"]?["clusterIPs"] == ["10.96.7.7"])
    for (spec, message) in [
      (
        ["ports": Self.http, "clusterIP": "10.96.7.7"],
        #"spec.clusterIPs: Invalid value: []string{"10.96.7.7"}: failed to allocate IP 10.96.7.7: "#
          + "provided IP is already allocated"
      ),
      (
        ["ports": Self.http, "clusterIP": "10.97.0.1"],
        #"spec.clusterIPs: Invalid value: []string{"10.97.0.1"}: failed to allocate IP 10.97.0.1: the provided IP "#
          + "(10.97.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/16"
      ),
      (
        ["ports": [["port": 80, "nodePort": 30080]], "type": "NodePort"],
        "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
      ),
      (
        ["ports": [["port": 80, "nodePort": 80]], "type": "NodePort"],
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. "
          + "The range of valid ports is 30000-32767"
      ),
    ] as [(JSONValue, String)] {
      let refused = try await server.send(.post, Self.path, Self.service("b", spec))
      #expect(refused.code == 422)
      #expect(refused.body["message"]?.stringValue == "Service \"b\" is invalid: \(message)")
    }
    #expect(try await server.send(.delete, Self.path + "/a").code == 200)
    let again = try await server.send(.post, Self.path, first)
    #expect(again.code == 201, "what is deleted is free: \(again.body)")
  }

  @Test(arguments: [
    ("{\"ports\":[{\"port\":80},{\"port\":81}]}", "spec.ports[0].name: Required value"),
    (
      "{\"ports\":[{\"port\":80,\"name\":\"a\"},{\"port\":81,\"name\":\"a\"}]}",
      "spec.ports[1].name: Duplicate value: \"a\""
    ),
    ("{\"ports\":[{\"port\":80,\"name\":\"a\"},{\"port\":80,\"name\":\"b\"}]}", "spec.ports[1]: Duplicate value: "),
    (
      "{\"ports\":[{\"port\":0}]}", "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive"
    ),
    (
      "{\"ports\":[{\"port\":80,\"targetPort\":\"a--b\"}]}",
      "spec.ports[0].targetPort: Invalid value: \"a--b\": must not"
    ),
    ("{}", "spec.ports: Required value"),
    (
      "{\"ports\":[{\"port\":80,\"nodePort\":30000}]}",
      "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"
    ),
    (
      "{\"type\":\"NodePort\",\"ports\":[{\"port\":80,\"name\":\"a\",\"nodePort\":30000},"
        + "{\"port\":81,\"name\":\"b\",\"nodePort\":30000}]}", "spec.ports[1].nodePort: Duplicate value: 30000"
    ),
    (
      "{\"type\":\"NodePort\",\"clusterIP\":\"None\",\"ports\":[{\"port\":80}]}",
      "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"
    ),
    ("{\"type\":\"ExternalName\"}", "spec.externalName: Required value"),
    (
      "{\"externalTrafficPolicy\":\"Local\",\"ports\":[{\"port\":80}]}",
      "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"
    ),
    (
      "{\"healthCheckNodePort\":30000,\"ports\":[{\"port\":80}]}",
      "spec.healthCheckNodePort: Invalid value: 30000: may only be set when `type` is 'LoadBalancer' and "
        + "`externalTrafficPolicy` is 'Local'"
    ),
    (
      "{\"externalIPs\":[\"127.0.0.1\"],\"ports\":[{\"port\":80}]}",
      "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"
    ),
    (
      "{\"loadBalancerClass\":\"a/b\",\"ports\":[{\"port\":80}]}",
      "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"
    ),
    (
      "{\"ipFamilies\":[\"IPv4\",\"IPv6\"],\"ipFamilyPolicy\":\"SingleStack\",\"ports\":[{\"port\":80}]}",
      "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when "
        + "multiple IP families are specified"
    ),
    (
      "{\"clusterIP\":\"10.96.0.9\",\"ipFamilies\":[\"IPv6\"],\"ports\":[{\"port\":80}]}",
      "spec.clusterIPs[0]: Invalid value: \"10.96.0.9\": expected an IPv6 value as indicated by `ipFamilies[0]`"
    ),
    (
      "{\"sessionAffinity\":\"ClientIP\",\"sessionAffinityConfig\":{\"clientIP\":{\"timeoutSeconds\":0}},"
        + "\"ports\":[{\"port\":80}]}",
      "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 0: must be greater than 0"
    ),
    (
      "{\"trafficDistribution\":\"Far\",\"ports\":[{\"port\":80}]}",
      "spec.trafficDistribution: Unsupported value: \"Far\""
    ),
    ("{\"type\":\"Node\",\"ports\":[{\"port\":80}]}", "spec.type: Unsupported value: \"Node\": supported values: "),
  ])
  func mistakesAreToldAsTheRealServerDoes(_ spec: String, _ message: String) async throws {
    let server = try makeServer()
    let refused = try await server.send(.post, Self.path, Self.service("s", try json(spec)))
    #expect(refused.code == 422)
    let told = refused.body["message"]?.stringValue ?? ""
    #expect(told.hasPrefix("Service \"s\" is invalid: ") && told.contains(message), "\(told)")
  }

  @Test func updatesKeepWhatWasGiven() async throws {
    let server = try makeServer()
    let spec: JSONValue = ["ports": [["name": "a", "port": 80], ["name": "b", "port": 81]], "type": "NodePort"]
    let made = try await server.send(.post, Self.path, Self.service("s", spec)).body
    let before = ServiceDocument(made)
    var replacement = Self.service("s", spec)
    replacement.set(["spec", "ports"], to: [["name": "b", "port": 81], ["name": "c", "port": 82]])
    let after = ServiceDocument(try await server.send(.put, Self.path + "/s", replacement).body)
    #expect(after.clusterIPs == before.clusterIPs && after.ipFamilies == before.ipFamilies)
    #expect(after.ports[0]["nodePort"] == before.ports[1]["nodePort"])
    #expect(after.nodePorts.count == 2 && after.nodePorts[1] != before.nodePorts[1])

    let moved = try await server.send(
      .patch, Self.path + "/s", ["spec": ["clusterIP": "10.96.200.200"]], type: "application/merge-patch+json")
    #expect(moved.code == 422)
    #expect(
      moved.body["message"]
        == #"Service "s" is invalid: spec.clusterIPs[0]: Invalid value: []string{"10.96.200.200"}: may not change once set"#
    )
    func patch(_ spec: JSONValue) async throws -> ServiceDocument {
      ServiceDocument(
        try await server.send(.patch, Self.path + "/s", ["spec": spec], type: "application/merge-patch+json").body)
    }
    let plain = try await patch(["type": "ClusterIP"])
    #expect(plain.nodePorts.isEmpty && plain["externalTrafficPolicy"] == nil && plain.clusterIPs == before.clusterIPs)
    let external = try await patch(["type": "ExternalName", "externalName": "a.example"])
    #expect(external.clusterIPs.isEmpty && external["ipFamilies"] == nil)
    #expect(try await patch(["type": "ClusterIP"]).clusterIPs.count == 1)
    let dual = try await patch(["ipFamilyPolicy": "PreferDualStack"])
    #expect(dual.clusterIPs.count == 2 && dual.ipFamilies == ["IPv4", "IPv6"])
    let single = try await patch(["ipFamilyPolicy": "SingleStack"])
    #expect(single.clusterIPs == Array(dual.clusterIPs.prefix(1)) && single.ipFamilies == ["IPv4"])
  }

  @Test func portsOfOneServiceShareTheNodePortOverProtocols() async throws {
    let server = try makeServer()
    let ports: JSONValue = [
      ["name": "dns", "port": 53, "protocol": "UDP"], ["name": "dns-tcp", "port": 53, "protocol": "TCP"],
      ["name": "other", "port": 54],
    ]
    let made = ServiceDocument(
      try await server.send(.post, Self.path, Self.service("s", ["ports": ports, "type": "NodePort"])).body)
    #expect(made.nodePorts.count == 3 && made.nodePorts[0] == made.nodePorts[1])
    #expect(made.nodePorts[2] != made.nodePorts[0])
  }

  @Test func healthChecksHaveAPort() async throws {
    let server = try makeServer()
    let spec: JSONValue = ["ports": Self.http, "type": "LoadBalancer", "externalTrafficPolicy": "Local"]
    let made = ServiceDocument(try await server.send(.post, Self.path, Self.service("s", spec)).body)
    let port = try #require(made.healthCheckPort)
    #expect(made.nodePorts.count == 2 && Set(made.nodePorts).count == 2)
    let changed = try await server.send(
      .patch, Self.path + "/s", ["spec": ["healthCheckNodePort": 30_001]], type: "application/merge-patch+json")
    #expect(changed.body["message"]?.stringValue?.hasSuffix("field is immutable") == true || port == 30_001)
    let gone = try await server.send(
      .patch, Self.path + "/s", ["spec": ["externalTrafficPolicy": "Cluster"]], type: "application/merge-patch+json")
    #expect(ServiceDocument(gone.body).healthCheckPort == nil)
  }

  @Test func rangesRunFullAndNothingIsGivenTwice() async throws {
    let network = ServiceNetwork(
      clusterRanges: [try #require(CIDR("10.96.0.0/28")), try #require(CIDR("fd00::/124"))], nodePorts: 30_000...30_004)
    let server = try makeServer(services: ServiceStrategy(network: network))
    var addresses = Set<String>()
    for index in 0..<14 {
      let spec: JSONValue = ["ports": Self.http, "ipFamilyPolicy": "RequireDualStack"]
      let made = try await server.send(.post, Self.path, Self.service("s\(index)", spec))
      #expect(made.code == 201)
      addresses.formUnion(ServiceDocument(made.body).clusterIPs)
    }
    #expect(addresses.count == 28)
    let full = try await server.send(.post, Self.path, Self.service("full", ["ports": Self.http]))
    #expect(full.body["message"] == "Internal error occurred: failed to allocate a serviceIP: range is full")
    var ports = Set<UInt16>()
    for index in 0..<5 {
      let made = try await server.send(
        .patch, Self.path + "/s\(index)", ["spec": ["type": "NodePort"]], type: "application/merge-patch+json")
      ports.formUnion(ServiceDocument(made.body).nodePorts)
    }
    #expect(ports == Set(30_000...30_004))
    let none = try await server.send(
      .patch, Self.path + "/s9", ["spec": ["type": "NodePort"]], type: "application/merge-patch+json")
    #expect(none.body["message"] == "Internal error occurred: failed to allocate a nodePort: range is full")
    #expect(try await server.send(.delete, Self.path + "/s0").code == 200)
    #expect(try await server.send(.post, Self.path, Self.service("next", ["ports": Self.http])).code == 201)
  }

  @Test func aRestartKnowsWhatIsGiven() async throws {
    let folder = try TemporaryDirectory()
    let spec: JSONValue = [
      "ports": [["port": 80, "nodePort": 30_500]], "type": "NodePort", "clusterIP": "10.96.3.3",
    ]
    do {
      let server = try makeServer(path: folder.path + "/db")
      #expect(try await server.send(.post, Self.path, Self.service("a", spec)).code == 201)
    }
    let server = try makeServer(path: folder.path + "/db")
    let taken = try await server.send(
      .post, Self.path, Self.service("b", ["ports": [["port": 80, "nodePort": 30_500]], "type": "NodePort"]))
    #expect(taken.body["message"]?.stringValue?.hasSuffix("provided port is already allocated") == true)
    let address = try await server.send(
      .post, Self.path, Self.service("b", ["ports": Self.http, "clusterIP": "10.96.3.3"]))
    #expect(address.body["message"]?.stringValue?.hasSuffix("provided IP is already allocated") == true)
  }

  @Test func aDryRunGivesNothingAway() async throws {
    let server = try makeServer()
    let spec: JSONValue = ["ports": Self.http, "clusterIP": "10.96.9.9"]
    let dry = try await server.send(.post, Self.path, Self.service("a", spec), query: ["dryRun": "All"])
    #expect(dry.code == 201 && ServiceDocument(dry.body).clusterIPs == ["10.96.9.9"])
    #expect(try await server.send(.post, Self.path, Self.service("b", spec)).code == 201)
  }

  @Test func thousandsTakeTheirAddressesAtTheSameTime() async throws {
    let server = try makeServer()
    let addresses = try await withThrowingTaskGroup(of: [String].self) { group in
      for worker in 0..<4 {
        group.addTask {
          var addresses: [String] = []
          for index in 0..<250 {
            let made = try await server.send(
              .post, Self.path, Self.service("s\(worker)-\(index)", ["ports": Self.http, "type": "NodePort"]))
            addresses += ServiceDocument(made.body).clusterIPs
          }
          return addresses
        }
      }
      return try await group.reduce(into: []) { $0 += $1 }
    }
    #expect(addresses.count == 1000 && Set(addresses).count == 1000)
    let time = try await ContinuousClock().measure {
      for index in 0..<250 { _ = try await server.send(.delete, Self.path + "/s0-\(index)") }
    }
    #expect(time < .seconds(5), "a deletion does not look at everything")
  }
}
