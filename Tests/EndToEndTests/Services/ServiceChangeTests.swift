import Glibc
import JSON
import Testing

private let changing = """
  apiVersion: v1
  kind: Service
  metadata: {name: changing}
  spec:
    ipFamilyPolicy: RequireDualStack
    selector: {app: changing}
    ports:
      - {name: http, port: 80, targetPort: 8080}
      - {name: dns, port: 53, protocol: UDP, targetPort: 5300}
  """

private let early = """
  apiVersion: v1
  kind: Service
  metadata: {name: early}
  spec:
    ipFamilyPolicy: RequireDualStack
    publishNotReadyAddresses: true
    selector: {app: late}
    ports: [{name: http, port: 80, targetPort: 8080}]
  ---
  apiVersion: v1
  kind: Service
  metadata: {name: patient}
  spec:
    ipFamilyPolicy: RequireDualStack
    selector: {app: late}
    ports: [{name: http, port: 80, targetPort: 8080}]
  """

extension EndToEnd {
  /// Backends that come, end and go.
  @Suite(
    .serialized,
    .node { node in
      try node.runProber("client", labels: "app=client")
      node.keepUntilStop(try node.startProber(at: .host))
    })
  struct ServiceChangeTests {
    static let client = Place.pod("client")

    @Test func `a pod that is not ready serves only who publishes it`() throws {
      let node = try SharedNode.node
      try node.apply(early)
      // It declares a port on which it does not listen yet.
      try node.startProber("late", labels: ["app": "late"], tcp: [8080], declaredPort: 8081)
      try node.waitForService("early", backends: 1)
      try node.waitForService("patient", backends: 0)
      for family in Family.allCases {
        #expect(try node.ask(node.clusterIP("early", family), 80, from: Self.client).names == ["late"])
        #expect(try node.ask(node.clusterIP("patient", family), 80, from: Self.client).names == ["ECONNREFUSED"])
      }
      _ = try ServiceProber.tell(node.prober(.pod("late")), ["do": "listen", "protocol": "tcp", "port": 8081])
      try node.waitForService("patient", backends: 1)
      for family in Family.allCases {
        #expect(try node.ask(node.clusterIP("patient", family), 80, from: Self.client).names == ["late"])
      }
      try node.delete(early)
    }

    /// Pods that have been told to end: they keep what they have, and get new connections only when nobody else is there.
    @Test func `terminating endpoints`() throws {
      let node = try SharedNode.node
      try node.apply(changing)
      defer { try? node.delete(changing) }
      for name in ["old", "new"] {
        try node.runProber(
          name, labels: "app=changing", tcp: [8080], udp: [5300], declared: ["http=8080"], stays: true)
      }
      try node.waitForService("changing", backends: 2)
      let kept = try Family.allCases.map { try node.keep(until: "old", of: "changing", $0, from: Self.client) }
      try node.kubectl("delete", "pod", "old", "--grace-period=5", "--wait=false")
      try node.waitForService("changing", backends: 1)
      for family in Family.allCases {
        let tally = try node.ask(node.clusterIP("changing", family), 80, from: Self.client, times: 30)
        #expect(tally.names == ["new"], "\(tally)")
      }
      #expect(try kept.map { try $0.say() } == ["old", "old"])
      try node.kubectl("delete", "pod", "new", "--grace-period=4", "--wait=false")
      let fellBack = try eventually(within: 20) {
        try node.ask(node.clusterIP("changing", .ipv4), 80, from: Self.client, times: 20).names == ["old", "new"]
      }
      #expect(fellBack, "terminating endpoints serve when there are no others")
      #expect(try kept.map { try $0.say() } == ["old", "old"])
      let refused = try eventually(within: 20) {
        try node.ask(node.clusterIP("changing", .ipv4), 80, from: Self.client, ["timeout": 0.5]).names == [
          "ECONNREFUSED"
        ]
      }
      #expect(refused, "nobody is left")
    }
  }
}
