import Glibc
import JSON
import TestSupport
import Testing

extension EndToEnd {
  /// How `up` starts, what it refuses to start with, and how it ends.
  @Suite(.serialized) struct UpTests {
    @Test func `a file says what flags say, and the sizes of maps`() throws {
      let directory = try TemporaryDirectory.make("e2e-config")
      defer { TemporaryDirectory.remove(directory) }
      let file = directory + "/up.yaml"
      try write(
        """
        nodeName: from-the-file
        podCIDR: [10.55.0.0/16, "fd55::/64"]
        audit: true
        maps: {connections: 5000, ipcache: 7000}
        """, to: file)
      try Node.with(["--config", file]) { node in
        #expect(try node.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").text == node.name)
        let maps = try node.martlet("bpf", "map", "list", "-o", "json").json().arrayValue ?? []
        let sizes = Dictionary(
          maps.map { ($0["name"]?.stringValue ?? "", $0["maxEntries"]?.integerValue ?? 0) }, uniquingKeysWith: { $1 })
        #expect(sizes["martlet_conntrack"] == 5000 && sizes["martlet_ipcache"] == 7000, "\(sizes)")
        try node.runServer("ratings", labels: "app=ratings")
        try node.runPod("sleep", labels: "app=sleep")
        for family in Family.allCases {
          #expect(try node.address(of: "sleep", family).hasPrefix(family == .ipv4 ? "10.55." : "fd55::"))
        }
        try node.apply(
          PolicyCase("", spec: "endpointSelector: {matchLabels: {app: ratings}}\ningress: [{}]").manifest)
        #expect(try node.surprises([.allowed(.pod("sleep"))]) == [], "an audit drops nothing")
        let seen = try eventually(within: 20) {
          try node.martlet("observe", "--verdict", "AUDIT", "-o", "json").output.contains("\"sleep\"")
        }
        #expect(seen, "but it tells")
      }
    }

    @Test func `a mistake in the file is told with its line`() throws {
      let directory = try TemporaryDirectory.make("e2e-config")
      defer { TemporaryDirectory.remove(directory) }
      try write("nodeName: n1\npodCIRD: [10.0.0.0/8]\n", to: directory + "/up.yaml")
      let outcome = try command([
        Node.binary, "up", "--config", directory + "/up.yaml", "--state-dir", directory + "/state",
      ])
      #expect(outcome.status == 2)
      #expect(outcome.errors.trimmed == "martlet: \(directory)/up.yaml:2: podCIRD: unknown field")
      #expect(access(directory + "/state", F_OK) != 0, "nothing was touched")
    }

    /// What `up` lacks or is refused, and what it says then.
    @Test(
      arguments: [
        (
          [
            "setpriv", "--reuid=65534", "--clear-groups", "--inh-caps=+dac_override,+dac_read_search",
            "--ambient-caps=+dac_override,+dac_read_search",
          ], [], "must run as root"
        ),
        (["setpriv", "--bounding-set=-net_admin,-bpf"], [], "root lacks CAP_NET_ADMIN, CAP_BPF"),
        ([], ["--device", "nosuch0"], "--device: there is no network device \"nosuch0\""),
        ([], ["--state-dir", "/proc/martlet"], "can not make folder /proc/martlet"),
      ] as [([String], [String], String)])
    func `what is missing is named`(_ prefix: [String], _ arguments: [String], _ complaint: String) throws {
      let directory = try TemporaryDirectory.make("e2e-up")
      defer { TemporaryDirectory.remove(directory) }
      let outcome = try command(
        prefix + [Node.binary, "up"] + arguments, environment: ["MARTLET_STATE_DIR": directory + "/state"])
      #expect(outcome.status == 1, "\(outcome)")
      #expect(outcome.errors.contains("martlet: \(complaint)"), "\(outcome)")
    }

    @Test func `a port that is taken is named`() throws {
      try Node.with { node in
        #expect(try node.martlet("down").status == 0)
        let taker = try Child([
          "ip", "netns", "exec", node.name, Node.binary, "bookinfo", "serve", "details", "--port", "6443",
        ])
        node.keepUntilStop(taker)
        let taken = try eventually(within: 20) { try node.onNode(["ss", "-Hltn", "sport = :6443"]).text != "" }
        #expect(taken)
        let outcome = try node.martlet("up", "--state-dir", node.directory + "/other")
        #expect(outcome.status == 1, "\(outcome)")
        #expect(outcome.errors.contains("127.0.0.1:6443") && outcome.errors.contains("--api-address"), "\(outcome)")
      }
    }

    @Test func `a node that is deleted from the API comes back`() throws {
      try Node.with { node in
        #expect(try node.kubectl("delete", "node", node.name, "--wait=false").status == 0)
        let isBack = try eventually(within: 20) { try node.kubectl("get", "node", node.name, "-o", "name").status == 0 }
        #expect(isBack, "\(node.log.suffix(2000))")
        try node.runServer("ratings", labels: "app=ratings")
        try node.runPod("sleep", labels: "app=sleep")
        #expect(try node.surprises([.allowed(.pod("sleep"))]) == [])
      }
    }

    @Test func `settings that can not work are refused`() throws {
      try Node.with { node in
        let broken = node.directory + "/broken"
        try must(["mkdir", broken])
        try write(String(repeating: "no database ", count: 1000), to: broken + "/state.db")
        #expect(try node.martlet("down", "--timeout", "30s").status == 0)
        let corrupt = try node.martlet("up", "--state-dir", broken)
        #expect(corrupt.status == 1 && corrupt.errors.contains("\(broken)/state.db can not be read"), "\(corrupt)")
        let overlap = try node.martlet(
          "up", "--state-dir", node.directory + "/o", "--service-cidr", "10.244.0.0/20,fd00:10:96::/112")
        #expect(overlap.status == 1 && overlap.errors.contains("overlaps --pod-cidr"), "\(overlap)")
      }
    }

    @Test func `a device of the host is accepted, and what that does is said`() throws {
      try Node.with(["--device", "world"]) { node in
        #expect(node.log.contains("world (192.0.2.1, 2001:db8::1) is a device to the outside"), "\(node.log)")
      }
    }

    @Test func `a crashed run's state is taken over`() throws {
      try Node.with { node in
        try node.runServer("ratings", labels: "app=ratings")
        try node.runPod("sleep", labels: "app=sleep")
        let before = Traces(of: node)
        defer { before.sweep() }
        let policy = PolicyCase("", spec: "endpointSelector: {matchLabels: {app: ratings}}\ningress: [{}]").manifest
        try node.apply(policy)
        node.crash()
        try node.start()
        // The objects are still there, the policy is still in force, and new pods get on with the old state.
        #expect(try node.kubectl("get", "cnp", "-o", "name").text != "")
        for pod in ["ratings", "sleep"] {
          #expect(try node.kubectl("delete", "pod", pod, "--wait=true", "--timeout=20s").status == 0, "\(node.log)")
        }
        node.addresses.withLock { $0 = [:] }
        try node.runServer("ratings", labels: "app=ratings")
        try node.runPod("sleep", labels: "app=sleep")
        #expect(try node.surprises([.refused(.pod("sleep"))]) == [])
        try node.delete(policy)
        #expect(try node.surprises([.allowed(.pod("sleep"))]) == [])
        let endpoints = try node.martlet("endpoint", "list", "-o", "json").json().arrayValue ?? []
        #expect(endpoints.count == 2, "\(endpoints)")
      }
    }

    @Test func `down ends it, and says so when there is nothing to end`() throws {
      try Node.with { node in
        try node.runPod("sleep", labels: "app=sleep")
        let traces = Traces(of: node)
        defer { traces.sweep() }
        let down = try node.martlet("down")
        #expect(down.status == 0, "\(down)")
        #expect(entries(of: "/run/netns").intersection(traces.namespaces) == [])
        #expect(traces.processes.values.allSatisfy { !$0.contains("up\0") }, "\(traces.processes)")
        let again = try node.martlet("down")
        #expect(again.status == 1 && again.errors.contains("no `martlet up` runs with \(node.state)"), "\(again)")
        // And up again, on what it left.
        try node.start()
        try node.runPod("sleep2", labels: "app=sleep")
      }
    }

    @Test func `a pod is started again as its policy says, also by the next up`() throws {
      try Node.with { node in
        let count = node.directory + "/count"
        let started = try node.martlet(
          "run", "--name", "again", "--restart", "always", "--detach", "--", "sh", "-c",
          "echo >> \(count); exec sleep 0.2")
        #expect(started.status == 0, "\(started)")
        #expect(eventually(within: 20) { read(count).count >= 3 })
        #expect(try node.martlet("down").status == 0)
        let before = read(count).count
        try node.start()
        #expect(eventually(within: 20) { read(count).count > before })
        #expect(try node.kubectl("delete", "pod", "again", "--timeout=20s").status == 0)
      }
    }
  }
}
