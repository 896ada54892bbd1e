import Foundation
import JSON
import Testing

@testable import ControlPlane

/// The real kubectl against a real server on loopback. Without kubectl these tests are skipped, and say so.
@Suite(.serialized, .enabled(if: Kubectl.path != nil, "kubectl is not on PATH"), .timeLimit(.minutes(5)))
struct KubectlTests {
  static let policy = """
    apiVersion: cilium.io/v2
    kind: CiliumNetworkPolicy
    metadata:
      name: rule
      labels: {tier: web}
    spec:
      endpointSelector:
        matchLabels: {app: b}
      ingress:
      - fromEndpoints:
        - matchLabels: {app: a}
        toPorts:
        - ports:
          - {port: "80", protocol: TCP}
          rules:
            http:
            - {method: GET, path: /public.*}
    """

  static let pod = """
    apiVersion: v1
    kind: Pod
    metadata:
      name: p
      labels: {app: p}
    spec:
      nodeName: host
      containers:
      - {name: a, command: [sleep], ports: [{containerPort: 80}]}
    """

  @Test func selectorsOfSets() async throws {
    try await withServer { kubectl, _ in
      for name in ["a", "b", "c"] {
        try await kubectl("create", "configmap", name)
        try await kubectl("label", "configmap", name, "app=\(name)")
      }
      #expect(
        try await kubectl.ok("get", "cm", "-l", "app in (a,c)", "-o", "name").split(separator: "\n")
          == ["configmap/a", "configmap/c"])
    }
  }

  @Test func aKindThatIsNotThere() async throws {
    try await withServer { kubectl, _ in
      for version in ["networking.k8s.io/v1", "cilium.io/v2", "example.org/v1"] {
        let object = "apiVersion: \(version)\nkind: NetworkPolice\nmetadata: {name: a}\n"
        for verb in ["apply", "create"] {
          let refused = try await kubectl(verb, "-f", "-", input: object)
          #expect(refused.status != 0 && refused.errors.contains("no matches for kind \"NetworkPolice\""), "\(refused)")
        }
      }
    }
  }

  @Test func applyGetDelete() async throws {
    try await withServer { kubectl, _ in
      let file = try kubectl.directory.write(KubectlTests.policy, as: "policy.yaml")
      #expect(try await kubectl.ok("apply", "-f", file).contains("created"))
      #expect(try await kubectl.ok("apply", "-f", file).contains("unchanged"))
      let changed = KubectlTests.policy.replacingOccurrences(of: "\"80\"", with: "\"81\"")
      let output = try await kubectl.ok("apply", "-f", kubectl.directory.write(changed, as: "changed.yaml"))
      #expect(output.contains("configured"))
      let port = "jsonpath={.spec.ingress[0].toPorts[0].ports[0].port}"
      #expect(try await kubectl.ok("get", "cnp", "rule", "-o", port) == "81")
      #expect(
        try await kubectl.ok("get", "cnp").split(separator: "\n").first?.split(separator: " ") == [
          "NAME", "AGE", "VALID",
        ])
      #expect(try await kubectl.ok("get", "cnp", "-A", "-l", "tier=web", "-o", "name").contains("/rule"))
      #expect(try await kubectl.ok("get", "cnp", "-l", "tier=db", "-o", "name").isEmpty)
      #expect(
        try await kubectl.ok("get", "cnp", "--field-selector", "metadata.name=rule", "-o", "name").contains("rule"))
      #expect(try await kubectl.ok("get", "cnp", "rule", "-o", "yaml").contains("path: /public.*"))
      #expect(try await kubectl("diff", "-f", file).status == 1)
      #expect(try await kubectl.ok("delete", "-f", file).contains("deleted"))
      #expect(try await kubectl("get", "cnp", "rule").errors.contains("NotFound"))
    }
  }

  @Test func strictValidation() async throws {
    try await withServer { kubectl, _ in
      let typo = KubectlTests.policy.replacingOccurrences(of: "fromEndpoints", with: "fromEndpoint")
      let file = try kubectl.directory.write(typo, as: "typo.yaml")
      let refused = try await kubectl("apply", "-f", file)
      #expect(refused.status == 1)
      #expect(refused.errors.contains(#"strict decoding error: unknown field "spec.ingress[0].fromEndpoint""#))
      let warned = try await kubectl("apply", "--validate=warn", "-f", file)
      #expect(warned.status == 0 && warned.errors.contains(#"Warning: unknown field "spec.ingress[0].fromEndpoint""#))
      let wrong = KubectlTests.policy.replacingOccurrences(of: "TCP", with: "TPC")
      let invalid = try await kubectl("apply", "-f", kubectl.directory.write(wrong, as: "wrong.yaml"))
      #expect(invalid.errors.contains("spec.ingress[0].toPorts[0].ports[0].protocol: Unsupported value: \"TPC\""))
      let name = try await kubectl("create", "configmap", "Bad_Name")
      #expect(name.errors.contains("a lowercase RFC 1123 subdomain must consist of"))
      let missing = try await kubectl("create", "configmap", "a", "-n", "missing")
      #expect(missing.errors.contains(#"namespaces "missing" not found"#))
    }
  }

  @Test func createAndDryRun() async throws {
    try await withServer { kubectl, _ in
      for command in [
        ["namespace", "n"], ["configmap", "c", "--from-literal=k=v"], ["secret", "generic", "s", "--from-literal=k=v"],
        ["serviceaccount", "sa"], ["service", "clusterip", "svc", "--tcp=80:8080"],
        ["ingress", "i", "--rule=a.b/c=svc:80"],
      ] {
        let result = try await run(
          Kubectl.path ?? "", ["create"] + command, in: kubectl.directory,
          environment: ["KUBECONFIG": kubectl.kubeconfig])
        #expect(result.status == 0, "create \(command): \(result.errors)")
      }
      #expect(try await kubectl("create", "configmap", "c").errors.contains("already exists"))
      #expect(try await kubectl.ok("get", "secret", "s", "-o", "jsonpath={.data.k}") == "dg==")
      #expect(try await kubectl.ok("get", "svc", "svc", "-o", "jsonpath={.spec.ports[0].targetPort}") == "8080")
      #expect(try await kubectl.ok("create", "configmap", "d", "--dry-run=server", "-o", "name").contains("d"))
      #expect(try await kubectl("get", "configmap", "d").status == 1)
      #expect(
        try await kubectl.ok("apply", "--dry-run=server", "-f", "-", input: KubectlTests.policy).contains("dry run"))
      #expect(try await kubectl("get", "cnp", "rule").status == 1)
      #expect(try await kubectl.ok("run", "x", "--image=none").contains("created"))
      #expect(try await kubectl.ok("expose", "pod", "x", "--port=80").contains("exposed"))
    }
  }

  @Test func changes() async throws {
    try await withServer { kubectl, _ in
      try await kubectl("create", "configmap", "c", "--from-literal=k=v")
      #expect(try await kubectl.ok("label", "cm", "c", "a=b").contains("labeled"))
      #expect(try await kubectl.ok("annotate", "cm", "c", "note=x").contains("annotated"))
      try await kubectl("patch", "cm", "c", "-p", #"{"data":{"strategic":"1"}}"#)
      try await kubectl("patch", "cm", "c", "--type=merge", "-p", #"{"data":{"merge":"2","k":null}}"#)
      try await kubectl("patch", "cm", "c", "--type=json", "-p", #"[{"op":"add","path":"/data/json","value":"3"}]"#)
      let data = try await kubectl.ok("get", "cm", "c", "-o", "jsonpath={.data}")
      #expect(try json(data) == ["strategic": "1", "merge": "2", "json": "3"])
      let edited = try await kubectl("edit", "cm", "c", editor: "sed -i s/strategic/edited/")
      #expect(edited.output.contains("edited"))
      #expect(try await kubectl.ok("get", "cm", "c", "-o", "jsonpath={.data.edited}") == "1")
      #expect(try await kubectl.ok("label", "cm", "c", "a-").contains("unlabeled"))
      let replaced = "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {only: this}}"
      #expect(try await kubectl.ok("replace", "-f", "-", input: replaced).contains("replaced"))
      #expect(try await kubectl.ok("get", "cm", "c", "-o", "jsonpath={.data}") == #"{"only":"this"}"#)
    }
  }

  @Test func serverSideApply() async throws {
    try await withServer { kubectl, _ in
      func service(_ name: String) -> String {
        "---\n{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {ports: [{name: \(name), port: 80}]}}"
      }
      func apply(_ name: String, _ arguments: String...) async throws -> CommandResult {
        try await run(
          Kubectl.path ?? "", ["apply", "--server-side", "-f", "-"] + arguments, in: kubectl.directory,
          environment: ["KUBECONFIG": kubectl.kubeconfig], input: service(name))
      }
      #expect(try await apply("a", "--field-manager=one").output.contains("serverside-applied"))
      let conflict = try await apply("b", "--field-manager=two")
      #expect(conflict.errors.contains(#"conflict with "one": .spec.ports[port=80,protocol="TCP"].name"#))
      #expect(try await apply("b", "--field-manager=two", "--force-conflicts").status == 0)
      let owners = try await kubectl.ok("get", "svc", "s", "-o", "jsonpath={.metadata.managedFields[*].manager}")
      #expect(owners == "one two")
      // From client-side to server-side.
      try await kubectl("apply", "-f", "-", input: KubectlTests.policy)
      #expect(try await kubectl.ok("apply", "--server-side", "-f", "-", input: KubectlTests.policy).contains("applied"))
    }
  }

  @Test func podsAndWaiting() async throws {
    try await withServer { kubectl, _ in
      _ = try await kubectl.ok("apply", "-f", "-", input: KubectlTests.pod)
      let ready =
        #"{"status":{"phase":"Running","podIPs":[{"ip":"10.0.0.1"}],"conditions":[{"type":"Ready","status":"True"}],"#
        + #""containerStatuses":[{"name":"a","ready":true,"restartCount":2,"image":"","imageID":""}]}}"#
      async let waiting = kubectl("wait", "--for=condition=Ready", "pod/p", "--timeout=20s")
      try await kubectl("patch", "pod", "p", "--subresource=status", "--type=merge", "-p", ready)
      #expect(try await waiting.output.contains("condition met"))
      let cells = try await kubectl.ok("get", "pod", "p", "-o", "wide", "--no-headers").split(separator: " ")
      #expect(cells.prefix(4) == ["p", "1/1", "Running", "2"])
      #expect(cells.contains("10.0.0.1") && cells.contains("host"))
      let selector = "spec.nodeName=host,status.phase=Running"
      #expect(try await kubectl.ok("get", "pods", "-A", "--field-selector", selector, "-o", "name") == "pod/p\n")
      #expect(try await kubectl.ok("describe", "pod", "p").contains("10.0.0.1"))
      #expect(try await kubectl.ok("wait", "--for=jsonpath={.status.phase}=Running", "pod/p").contains("met"))
      async let gone = kubectl("wait", "--for=delete", "pod/p", "--timeout=20s")
      try await kubectl("delete", "pod", "p", "--wait=false")
      #expect(try await kubectl.ok("get", "pod", "p", "--no-headers").contains("Terminating"))
      try await kubectl("delete", "pod", "p", "--grace-period=0", "--force")
      #expect(try await gone.status == 0)
      #expect(try await kubectl("wait", "--for=condition=Ready", "pod/none").status == 1)
    }
  }

  @Test func watching() async throws {
    try await withServer { kubectl, _ in
      async let watched = kubectl("get", "cm", "-w", "--request-timeout=4s", "--output-watch-events")
      try await Task.sleep(for: .seconds(1))
      try await kubectl("create", "configmap", "a")
      try await kubectl("delete", "configmap", "a")
      let lines = try await watched.output
      #expect(lines.contains("ADDED") && lines.contains("DELETED"))
    }
  }

  @Test func discoveryAndExplanation() async throws {
    try await withServer { kubectl, _ in
      let resources = try await kubectl.ok("api-resources", "--no-headers")
      for kind in [
        "Namespace", "Node", "Pod", "Service", "Endpoints", "EndpointSlice", "ServiceAccount", "Secret", "ConfigMap",
        "NetworkPolicy", "Event", "Lease", "CustomResourceDefinition", "CiliumNetworkPolicy",
        "CiliumClusterwideNetworkPolicy", "CiliumEndpoint", "CiliumIdentity", "CiliumNode", "CiliumEnvoyConfig",
        "CiliumClusterwideEnvoyConfig", "CiliumCIDRGroup",
      ] {
        #expect(resources.split(separator: "\n").contains { $0.hasSuffix(" \(kind)") }, "\(kind) is not served")
      }
      #expect(try await kubectl.ok("api-versions").contains("cilium.io/v2"))
      #expect(try await kubectl.ok("version").contains("Server Version: v1.32"))
      let rules = try await kubectl.ok("explain", "cnp.spec.ingress.toPorts.rules.http")
      #expect(rules.contains("method") && rules.contains("<string>"))
      #expect(try await kubectl.ok("explain", "pod.spec.containers", "--recursive").contains("containerPort"))
      #expect(try await kubectl.ok("auth", "can-i", "create", "pods") == "yes\n")
      #expect(try await kubectl.ok("auth", "whoami").contains("martlet-admin"))
      #expect(try await kubectl.ok("get", "--raw", "/readyz") == "ok")
      let established = try await kubectl.ok("wait", "--for=condition=Established", "crd/ciliumnodes.cilium.io")
      #expect(established.contains("condition met"))
    }
  }

  @Test func namespacesAndPages() async throws {
    try await withServer { kubectl, _ in
      try await kubectl("create", "namespace", "team")
      let list = (0..<7).map { "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: c\($0), namespace: team}}" }
      _ = try await kubectl.ok("apply", "-f", "-", input: list.joined(separator: "\n"))
      #expect(
        try await kubectl.ok("get", "cm", "-n", "team", "--chunk-size=3", "-o", "name").split(separator: "\n").count
          == 7)
      let page = try json(try await kubectl.ok("get", "--raw", "/api/v1/namespaces/team/configmaps?limit=2"))
      #expect(page["items"]?.arrayValue?.count == 2 && page["metadata"]?["continue"] != nil)
      #expect(try await kubectl.ok("delete", "namespace", "team").contains("deleted"))
      #expect(try await kubectl("get", "namespace", "team").status == 1)
      #expect(try await kubectl.ok("get", "cm", "-A", "-o", "name").isEmpty)
    }
  }

  @Test func logs() async throws {
    try await withServer {
      $0.podLog = { request in
        AsyncStream { continuation in
          continuation.yield(Array("\(request.namespace)/\(request.name) \(request.tailLines ?? -1)\n".utf8))
          continuation.finish()
        }
      }
    } _: { kubectl, _ in
      _ = try await kubectl.ok("apply", "-f", "-", input: KubectlTests.pod)
      #expect(try await kubectl.ok("logs", "p", "--tail=5") == "default/p 5\n")
      #expect(try await kubectl.ok("logs", "-f", "p") == "default/p -1\n")
    }
  }

  @Test func customKinds() async throws {
    try await withServer { kubectl, _ in
      let definition = """
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        metadata: {name: widgets.example.com}
        spec:
          group: example.com
          names: {plural: widgets, kind: Widget, shortNames: [wd]}
          scope: Namespaced
          versions:
          - name: v1
            served: true
            storage: true
            additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
            schema:
              openAPIV3Schema:
                type: object
                properties:
                  spec: {type: object, required: [size], properties: {size: {type: integer, maximum: 3}}}
        """
      _ = try await kubectl.ok("apply", "-f", "-", input: definition)
      func widget(_ size: String) -> String {
        "---\n{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {\(size)}}"
      }
      _ = try await kubectl.ok("apply", "-f", "-", input: widget("size: 2"))
      #expect(try await kubectl.ok("get", "wd").contains("SIZE"))
      #expect(
        try await kubectl("apply", "-f", "-", input: widget("size: 9")).errors.contains("less than or equal to 3"))
      #expect(
        try await kubectl("apply", "-f", "-", input: widget("sise: 1")).errors.contains(#"unknown field "spec.sise""#))
      #expect(try await kubectl.ok("explain", "widget.spec").contains("size"))
      _ = try await kubectl.ok("delete", "crd", "widgets.example.com")
      #expect(try await kubectl("get", "wd").status == 1)
    }
  }
}
