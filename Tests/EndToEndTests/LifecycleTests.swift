import Glibc
import Testing

extension EndToEnd {
  /// Nodes come and go, side by side, and leave nothing behind.
  @Suite(.serialized) struct LifecycleTests {
    private static let denyRatings = PolicyCase(
      "", spec: "endpointSelector: {matchLabels: {app: ratings}}\ningress: [{}]"
    ).manifest

    @Test func `two nodes at the same time do not meet`() throws {
      try Node.with { one in
        try Node.with { other in
          for node in [one, other] {
            try node.runServer("ratings", labels: "app=ratings")
            try node.runPod("sleep", labels: "app=sleep")
          }
          try one.apply(LifecycleTests.denyRatings)
          #expect(try one.surprises([.refused(.pod("sleep"))]) == [])
          #expect(try other.surprises([.allowed(.pod("sleep"))]) == [])
          #expect(try other.kubectl("get", "cnp", "-o", "name").text == "")
          one.stop()
          #expect(try other.surprises([.allowed(.pod("sleep"))]) == [])
        }
      }
    }

    @Test func `a second up on a state directory says who has it`() throws {
      try Node.with { node in
        try node.runPod("sleep", labels: "app=sleep")
        let second = try node.martlet("up", "--state-dir", node.state)
        #expect(second.status == 1)
        #expect(second.errors.contains("another `martlet up`") && second.errors.contains(node.state), "\(second)")
        #expect(try node.martlet("status").status == 0)
      }
    }

    @Test func `SIGTERM leaves nothing`() throws {
      try Node.with { node in
        try node.runServer("ratings", labels: "app=ratings")
        try node.runPod("sleep", labels: "app=sleep")
        let traces = Traces(of: node)
        defer { traces.sweep() }
        #expect(traces.namespaces.count == 2)
        #expect(node.terminate() == 0, "\(node.log)")
        #expect(entries(of: "/run/netns").intersection(traces.namespaces) == [])
        let links = try node.onNode(["ip", "-o", "link"]).output
        #expect(!links.contains(": mlt") && !links.contains(": martlet_"), "\(links)")
        #expect(traces.processes == [:])
        for folder in traces.pins { #expect(access(folder, F_OK) != 0, "\(folder)") }
      }
    }
  }
}
