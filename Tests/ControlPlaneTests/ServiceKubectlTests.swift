import JSON
import TestSupport
import Testing

@testable import ControlPlane

@Suite(.enabled(if: Kubectl.path != nil, "kubectl is not installed"), .serialized)
struct ServiceKubectlTests {
  @Test func servicesByTheCommandLine() async throws {
    try await withServer {
      $0.loadBalancerCIDRs = ["192.0.2.0/24"]
    } _: { kubectl, _ in
      func field(_ name: String, _ path: String) async throws -> String {
        try await kubectl.ok("get", "svc", name, "-o", "jsonpath={\(path)}")
      }
      let row = try await kubectl.ok("get", "svc", "kubernetes", "--no-headers").split(separator: " ")
      #expect(row.prefix(5) == ["kubernetes", "ClusterIP", "10.96.0.1", "<none>", "443/TCP"])
      _ = try await kubectl.ok("create", "service", "clusterip", "c", "--tcp=80:8080")
      #expect(try await field("c", ".spec.clusterIP").hasPrefix("10.96."))
      _ = try await kubectl.ok("create", "service", "clusterip", "h", "--clusterip=None")
      #expect(try await field("h", ".spec.clusterIPs") == #"["None"]"#)
      _ = try await kubectl.ok("create", "service", "nodeport", "n", "--tcp=80:8080", "--node-port=30333")
      let node = try await kubectl.ok("get", "svc", "n", "--no-headers").split(separator: " ")
      #expect(node.contains("80:30333/TCP") && node.contains("NodePort"))
      let taken = try await kubectl("create", "service", "nodeport", "m", "--tcp=80", "--node-port=30333")
      #expect(taken.errors.contains("spec.ports[0].nodePort: Invalid value: 30333: provided port is already allocated"))
      _ = try await kubectl.ok("create", "service", "loadbalancer", "l", "--tcp=80")
      #expect(try await field("l", ".status.loadBalancer.ingress[0].ip") == "192.0.2.0")
      #expect(try await kubectl.ok("get", "svc", "l").contains("192.0.2.0"))
      _ = try await kubectl.ok("create", "service", "externalname", "e", "--external-name=a.example")
      let external = try await kubectl.ok("get", "svc", "e", "--no-headers").split(separator: " ")
      #expect(external.prefix(5) == ["e", "ExternalName", "<none>", "a.example", "<none>"])

      _ = try await kubectl.ok("run", "p", "--image=none", "--port=8080")
      _ = try await kubectl.ok("expose", "pod", "p", "--name=x", "--type=NodePort")
      #expect(try await field("x", ".spec.selector.run") == "p")
      let (address, port) = (try await field("x", ".spec.clusterIP"), try await field("x", ".spec.ports[0].nodePort"))
      let edited = try await kubectl(
        "edit", "svc", "x", editor: "sed -i s/sessionAffinity:.None/sessionAffinity:\\ ClientIP/")
      #expect(edited.output.contains("edited"))
      #expect(try await field("x", ".spec.sessionAffinityConfig.clientIP.timeoutSeconds") == "10800")
      #expect(try await field("x", ".spec.clusterIP") == address)
      #expect(try await field("x", ".spec.ports[0].nodePort") == port)
      let manifest = """
        ---
        {apiVersion: v1, kind: Service, metadata: {name: made}, spec: {selector: {a: b}, type: NodePort, ports: [{port: 80}]}}
        """
      _ = try await kubectl.ok("apply", "-f", "-", input: manifest)
      let before = try await field("made", ".spec")
      #expect(try await kubectl.ok("apply", "-f", "-", input: manifest).contains("unchanged"))
      _ = try await kubectl.ok("apply", "--server-side", "--force-conflicts", "-f", "-", input: manifest)
      #expect(try json(try await field("made", ".spec")) == json(before))
      #expect(try await kubectl.ok("describe", "svc", "made").contains("NodePort"))
      _ = try await kubectl.ok("delete", "svc", "n", "x", "made", "l")
      _ = try await kubectl.ok("create", "service", "nodeport", "m", "--tcp=80", "--node-port=30333")
      _ = try await kubectl.ok("replace", "--force", "-f", "-", input: manifest)
    }
  }
}
