import Glibc
import JSON
import Testing

extension EndToEnd {
  /// Many objects, many endpoints, many identities, each on a node of its own.
  @Suite(.serialized) struct ScaleTests {
    @Test func `ten thousand objects in the API`() throws {
      let count = 10_000 * Scale.factor
      try Node.with { node in
        let before = Scale.memory(of: node.pid)
        let path = "/api/v1/namespaces/default/configmaps"
        try Scale.timed("create \(count) objects") {
          try node.create(path, count: count) { index in
            [
              "metadata": ["name": .string("c\(index)"), "labels": ["tenth": .string("\(index % 10)")]],
              "data": ["k": "v"],
            ]
          }
        }
        try Scale.timed("list them with kubectl, in pages") {
          let list = try node.kubectl("get", "configmaps", "-o", "name", "--chunk-size=500")
          #expect(list.text.split(separator: "\n").count { $0.hasPrefix("configmap/c") } == count, "\(list.errors)")
        }
        try Scale.timed("list a tenth of them by label") {
          let list = try node.kubectl("get", "configmaps", "-o", "name", "-l", "tenth=3")
          #expect(list.text.split(separator: "\n").count == count / 10, "\(list.errors)")
        }
        try Scale.timed("page by hand") {
          var seen: Set<String> = []
          var token: String?
          repeat {
            let page = try node.get("\(path)?limit=1000" + (token.map { "&continue=\($0)" } ?? ""))
            let names = (page["items"]?.arrayValue ?? []).compactMap { $0[path: "metadata", "name"]?.stringValue }
            #expect(names.count <= 1000 && seen.isDisjoint(with: names))
            seen.formUnion(names)
            let next = page[path: "metadata", "continue"]?.stringValue
            token = next.flatMap { $0.isEmpty ? nil : $0 }
          } while token != nil
          #expect(seen.count >= count)
        }
        let watch = try Child(
          [
            "ip", "netns", "exec", node.name, "kubectl", "--kubeconfig", node.state + "/kubeconfig", "get",
            "configmaps",
          ]
            + ["-o", "name", "-w"], environment: node.environment,
          output: node.directory + "/watch")
        defer {
          watch.signal(SIGKILL)
          watch.wait()
        }
        Scale.timed("watch them all") {
          let all = eventually(within: 30) { read(node.directory + "/watch").split(separator: "\n").count >= count }
          #expect(all)
        }
        Scale.timed("one change is watched among them") {
          _ = try? node.kubectl("label", "configmap", "c77", "changed=yes")
          let seen = eventually(within: 20, every: 5000) {
            read(node.directory + "/watch").split(separator: "\n").count { $0 == "configmap/c77" } == 2
          }
          #expect(seen)
        }
        try Scale.timed("delete a tenth of them") {
          let deleted = try node.onNode(
            ["kubectl", "--kubeconfig", node.state + "/kubeconfig", "delete", "configmaps", "-l", "tenth=3"]
              + ["--wait=false"], seconds: 120)
          #expect(deleted.status == 0, "\(deleted.errors)")
          #expect(try node.kubectl("get", "configmaps", "-o", "name", "-l", "tenth=3").text == "")
        }
        let after = Scale.memory(of: node.pid)
        print("scale: up's memory: \(before) MiB before, \(after) MiB after \(count) objects")
        #expect(after < before + 40 + 20 * Scale.factor)
      }
    }

    @Test func `five hundred endpoints`() throws {
      let count = 500 * Scale.factor
      try Node.with { node in
        try node.runServer("ratings", labels: "app=ratings")
        let before = Scale.memory(of: node.pid(of: "agent"))
        try Scale.timed("\(count) pods, from the first to the last ready") {
          try node.create("/api/v1/namespaces/default/pods", count: count) { index in
            [
              "metadata": [
                "name": .string("p\(index + 1)"),
                "labels": ["app": "many", "team": .string("t\(index % 50)")],
              ],
              "spec": [
                "nodeName": .string(node.name), "restartPolicy": "Never", "terminationGracePeriodSeconds": 1,
                "containers": [["name": "c", "image": "host", "command": ["sleep", "infinity"]]],
              ],
            ]
          }
          let ready = try eventually(within: 60 * Double(Scale.factor), every: 300_000) {
            try node.endpointCount == count + 1
          }
          #expect(ready, "\(node.log.suffix(2000))")
        }
        let traces = Traces(of: node)
        defer { traces.sweep() }
        let agent = Scale.memory(of: node.pid(of: "agent"))
        print("scale: the agent's memory: \(before) MiB with 1 endpoint, \(agent) MiB with \(count + 1)")
        #expect(agent < before + 30 + 20 * Scale.factor)
        let policy = PolicyCase(
          "",
          spec: """
            endpointSelector: {matchLabels: {app: ratings}}
            ingress: [{fromEndpoints: [{matchLabels: {team: t\((count - 1) % 50)}}]}]
            """
        ).manifest
        try Scale.timed("a policy for them") { try node.apply(policy) }
        #expect(
          try node.surprises([
            .allowed(.pod("p\(count)")), .refused(.pod("p1")), .refused(.pod("p\(count / 2 + 1)")),
          ]) == [])
        try node.delete(policy)
        #expect(try node.surprises([.allowed(.pod("p1")), .allowed(.pod("p\(count)"))]) == [])
        try Scale.timed("delete them") {
          let deleted = try node.onNode(
            [
              "kubectl", "--kubeconfig", node.state + "/kubeconfig", "delete", "pods", "-l", "app=many", "--wait=false",
            ],
            seconds: 120)
          #expect(deleted.status == 0, "\(deleted.errors)")
          let gone = try eventually(within: 60 * Double(Scale.factor), every: 300_000) {
            try node.endpointCount == 1
              && node.kubectl("get", "pods", "-l", "app=many", "-o", "name").text.isEmpty
          }
          #expect(gone, "\(node.log.suffix(2000))")
        }
        // Nothing is left of them: neither in the kernel nor in the node's files.
        #expect(try node.podDevices.count == 1)
        #expect(entries(of: node.state + "/pods").count == 1)
        #expect(entries(of: node.state + "/cni/attachments").count == 1)
        #expect(entries(of: "/run/netns").intersection(traces.namespaces).count == 1)
        let maps = try node.martlet("bpf", "map", "list", "-o", "json").json().arrayValue ?? []
        let held = Dictionary(
          maps.map { ($0["name"]?.stringValue ?? "", $0["entries"]?.integerValue ?? 0) }, uniquingKeysWith: { $1 })
        #expect(held["martlet_endpoints"] == 2 && held["martlet_policy"] == 1, "\(held)")
        #expect(try node.kubectl("get", "cep", "-o", "name").text.split(separator: "\n").count == 1)
        #expect(node.terminate() == 0)
      }
    }

    @Test func `a policy that selects ten thousand identities`() throws {
      let count = 10_000 * Scale.factor
      try Node.with { node in
        try node.runServer("ratings", labels: "app=ratings")
        try node.runPod("sleep", labels: "app=sleep,tier=x0")
        try Scale.timed("create \(count) identities") {
          try node.create("/apis/cilium.io/v2/ciliumidentities", count: count) { index in
            let labels: JSONValue = [
              "k8s:app": .string("a\(index)"), "k8s:tier": .string("x\(index % 2)"),
              "k8s:io.kubernetes.pod.namespace": "default", "k8s:io.cilium.k8s.policy.cluster": "default",
              "k8s:io.cilium.k8s.policy.serviceaccount": "default",
            ]
            return ["metadata": ["name": .string("\(20_000 + index)")], "security-labels": labels]
          }
        }
        Scale.timed("the agent knows them") {
          let known = eventually(within: 60, every: 200_000) {
            ((try? node.martlet("identity", "list", "-o", "json").json().arrayValue?.count) ?? 0) >= count
          }
          #expect(known)
        }
        let ratings = try #require(
          try node.martlet("endpoint", "get", "default/ratings", "-o", "json").json()["identity"]?.integerValue)
        func entries() throws -> Set<Int64> {
          let list = try node.martlet("bpf", "policy", "list", "\(ratings)", "-o", "json").json().arrayValue ?? []
          return Set(list.compactMap { $0["peer"]?.integerValue })
        }
        func policy(_ selector: String) -> String {
          PolicyCase(
            "",
            spec: """
              endpointSelector: {matchLabels: {app: ratings}}
              ingress: [{fromEndpoints: [{\(selector)}], toPorts: [{ports: [{port: "9080", protocol: TCP}]}]}]
              """
          ).manifest
        }
        let all = policy("matchExpressions: [{key: tier, operator: Exists}]")
        try Scale.timed("apply a policy that selects them all, until in force") { try node.apply(all) }
        let expected = Set((0..<count).map { Int64(20_000 + $0) })
        #expect(try entries().isSuperset(of: expected))
        #expect(try node.surprises([.allowed(.pod("sleep"))]) == [])
        try Scale.timed("edit it to half of them, until in force") {
          try node.apply(policy("matchLabels: {tier: x1}"))
        }
        let half = Set((0..<count).filter { $0 % 2 == 1 }.map { Int64(20_000 + $0) })
        #expect(try entries().intersection(expected) == half)
        #expect(try node.surprises([.refused(.pod("sleep"))]) == [])
        try Scale.timed("one identity more, until in the map") {
          try node.create("/apis/cilium.io/v2/ciliumidentities", count: 1) { _ in
            [
              "metadata": ["name": "19999"],
              "security-labels": [
                "k8s:app": "late", "k8s:tier": "x1", "k8s:io.kubernetes.pod.namespace": "default",
                "k8s:io.cilium.k8s.policy.cluster": "default",
              ],
            ]
          }
          let known = try eventually(within: 20, every: 50_000) { try entries().contains(19_999) }
          #expect(known)
        }
        let agent = Scale.memory(of: node.pid(of: "agent"))
        print("scale: the agent's memory with \(count) identities: \(agent) MiB")
        #expect(agent < 60 + 60 * Scale.factor)
        try Scale.timed("delete the policy, until in force") { try node.delete(all) }
        #expect(try node.surprises([.allowed(.pod("sleep"))]) == [])
      }
    }
  }
}

extension Node {
  fileprivate var endpointCount: Int {
    get throws { try martlet("status", "-o", "json").json()["endpointCount"]?.integerValue.map(Int.init) ?? 0 }
  }
}
