import JSON
import Testing

extension EndToEnd.ServiceTests {
  /// Endpoints that somebody writes: a pod, the node itself and a server outside, of which clients of another family see
  /// none.
  @Test func `endpoints by hand`() throws {
    let node = try SharedNode.node
    let manifest = ServiceManifests.documents(
      [ServiceManifests.withoutSelector("manual")]
        + (try Family.allCases.map { family in
          ServiceManifests.slice(
            "manual", of: "manual", family, port: 7000,
            [
              .init(address: try node.address(of: .host, family)),
              .init(address: try node.address(of: .world, family), node: "elsewhere"),
            ])
        }))
    try node.apply(manifest)
    try node.waitForService("manual", backends: 2)
    for family in Family.allCases {
      let tally = try node.ask(try node.clusterIP("manual", family), 80, from: .pod("client"), times: 30)
      #expect(tally.names == ["host", "world"], "\(tally)")
    }
    try node.delete(manifest)
  }

  @Test func `internal traffic may stay on the node`() throws {
    let node = try SharedNode.node
    let manifest = ServiceManifests.documents(
      [ServiceManifests.withoutSelector("local", "internalTrafficPolicy: Local")]
        + (try Family.allCases.map { family in
          ServiceManifests.slice(
            "local", of: "local", family, port: 7000,
            [
              .init(address: try node.address(of: .host, family), node: node.name),
              .init(address: try node.address(of: .world, family), node: "elsewhere"),
            ])
        }))
    try node.apply(manifest)
    try node.waitForService("local", backends: 1)
    for family in Family.allCases {
      let tally = try node.ask(try node.clusterIP("local", family), 80, from: .pod("client"), times: 20)
      #expect(tally.names == ["host"], "\(tally)")
    }
    try node.delete(manifest)
  }

  /// 100 to 25, and one that is drained.
  @Test func `weights share out`() throws {
    let node = try SharedNode.node
    let port = 9000
    let weights = [("web-1", 100), ("web-2", 25), ("web-3", 0)]
    let slices = try Family.allCases.flatMap { family in
      try weights.map { pod, weight in
        ServiceManifests.slice(
          pod, of: "weighted", family, port: port, annotations: "{service.martlet.io/weight: \"\(weight)\"}",
          [.init(address: try node.address(of: pod, family))])
      }
    }
    let manifest = ServiceManifests.documents([ServiceManifests.withoutSelector("weighted")] + slices)
    try node.apply(manifest)
    try node.waitForService("weighted", backends: 2)
    for family in Family.allCases {
      let tally = try node.ask(try node.clusterIP("weighted", family), 80, from: .pod("client"), times: 500)
      // 400 and 100; the standard deviation is 8.9.
      #expect(tally.names == ["web-1", "web-2"], "\(tally)")
      #expect(abs((tally.answers["web-1"] ?? 0) - 400) < 45, "\(tally)")
    }
    try node.delete(manifest)
  }
}

extension EndToEnd.ServiceTests {
  /// Load balancers ask each node whether it has backends.
  @Test func `health checks are answered at a port of the node`() throws {
    let node = try SharedNode.node
    func manifest(_ name: String, _ app: String) -> String {
      """
      apiVersion: v1
      kind: Service
      metadata: {name: \(name)}
      spec:
        type: LoadBalancer
        externalTrafficPolicy: Local
        ipFamilyPolicy: RequireDualStack
        selector: {app: \(app)}
        ports: [{name: http, port: 80, targetPort: http}]
      """
    }
    let both = ServiceManifests.documents([manifest("checked", "web"), manifest("vacant", "nobody")])
    try node.apply(both)
    try node.waitForService("checked", backends: 3)
    for (name, status, count) in [("checked", "200", 3), ("vacant", "503", 0)] {
      let port = try node.kubectl("get", "service", name, "-o", "jsonpath={.spec.healthCheckNodePort}").text
      for family in Family.allCases {
        let host = try node.address(of: .host, family)
        let url = "http://\(family == .ipv4 ? host : "[\(host)]"):\(port)/"
        for place in [Place.world, .host, .pod("client")] {
          let answer = try node.run(["curl", "-s", "-m", "3", "-w", "%{http_code}", url], at: place)
          #expect(answer.text.hasSuffix(status), "\(place) asks \(url): \(answer)")
          let body = try JSONValue(parsing: String(answer.text.dropLast(3)))
          #expect(body["localEndpoints"] == .integer(Int64(count)) && body["serviceProxyHealthy"] == true, "\(answer)")
          #expect(body["service"] == ["namespace": "default", "name": .string(name)])
        }
      }
    }
    try node.delete(both)
  }
}
