import Addressing
import JSON
import Testing

@testable import KubernetesAPI

@Suite struct ObjectTests {
  @Test func pod() throws {
    let pod = try Pod(
      yaml(
        """
        metadata:
          name: a
          namespace: "n"
          uid: u1
          resourceVersion: "5"
          labels: {app: x}
          finalizers: [f]
          ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: u2, controller: true}]
        spec:
          nodeName: w1
          containers:
          - name: c
            image: none
            command: [/bin/sh, -c]
            args: ["sleep 1"]
            env: [{name: A, value: b}, {name: B, valueFrom: {}}]
            ports: [{name: http, containerPort: 8080}, {containerPort: 53, protocol: UDP}]
            resources: {}
        status:
          phase: Running
          podIP: 10.0.0.1
          podIPs: [{ip: 10.0.0.1}, {ip: "fd00::1"}]
          conditions: [{type: Ready, status: "True"}]
        """))
    #expect(pod.metadata.ownerReferences.first?.controller == true && pod.metadata.finalizers == ["f"])
    #expect(pod.spec.serviceAccountName == "default" && pod.spec.nodeName == "w1" && !pod.spec.hostNetwork)
    let container = try #require(pod.spec.containers.first)
    #expect(container.command + container.args == ["/bin/sh", "-c", "sleep 1"])
    #expect(container.env == [EnvironmentVariable(name: "A", value: "b")])
    #expect(container.ports.map(\.containerPort) == [8080, 53] && container.ports.map(\.protocol) == [.tcp, .udp])
    #expect(pod.status.isReady && pod.status.podIPs.map(\.description) == ["10.0.0.1", "fd00::1"])
    #expect(pod.raw[path: "spec", "nodeName"] == "w1")
  }

  @Test func serviceAndItsEndpoints() throws {
    let service = try Service(
      yaml(
        """
        metadata: {name: s}
        spec:
          selector: {app: x}
          clusterIP: 10.96.0.1
          clusterIPs: [10.96.0.1, "fd00:96::1"]
          ports: [{port: 80, targetPort: http}, {port: 53, protocol: UDP}]
        """))
    #expect(service.clusterIPs.count == 2 && service.metadata.namespace == "default")
    #expect(service.ports.map(\.targetPort) == [.name("http"), .number(53)])
    let headless = try Service(yaml("{metadata: {name: s}, spec: {clusterIP: None, clusterIPs: [None]}}"))
    #expect(headless.clusterIPs.isEmpty && headless.selector == nil)

    let slice = try EndpointSlice(
      yaml(
        """
        metadata: {name: s-1, labels: {kubernetes.io/service-name: s}}
        addressType: IPv4
        ports: [{name: "", port: 8080}]
        endpoints:
        - {addresses: [10.0.0.1], targetRef: {kind: Pod, name: a, namespace: "n"}}
        - {addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}}
        """))
    #expect(slice.serviceName == "s" && slice.endpoints.map(\.ready) == [true, false])
    #expect(slice.endpoints[1].serving && slice.endpoints[1].terminating)
    #expect(slice.endpoints[0].target == ObjectKey(kind: "Pod", namespace: "n", name: "a"))
    let endpoints = try Endpoints(
      yaml("{metadata: {name: s}, subsets: [{addresses: [{ip: 10.0.0.1}], notReadyAddresses: [{ip: 10.0.0.2}]}]}"))
    #expect(endpoints.subsets.first?.backends.map(\.ready) == [true, false])
  }

  @Test func everythingAboutAService() throws {
    let service = try Service(
      yaml(
        """
        metadata: {name: s, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: "10.0.0.0/8"}}
        spec:
          type: LoadBalancer
          clusterIP: 10.96.0.1
          ipFamilies: [IPv4, IPv6]
          sessionAffinity: ClientIP
          sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}
          internalTrafficPolicy: Local
          externalTrafficPolicy: Local
          healthCheckNodePort: 31000
          publishNotReadyAddresses: true
          trafficDistribution: PreferClose
          loadBalancerClass: other/one
          loadBalancerSourceRanges: [" 192.0.2.0/24 ", "2001:db8::/32"]
          ports: [{port: 80, targetPort: 0, nodePort: 30080, appProtocol: http}]
        status:
          loadBalancer:
            ingress: [{ip: 203.0.113.1}, {hostname: a.example}, {ip: 203.0.113.2, ipMode: Proxy}]
        """))
    #expect(service.type == .loadBalancer && service.ipFamilies == [.ipv4, .ipv6] && !service.isHeadless)
    #expect(service.affinityTimeout == 60 && service.healthCheckNodePort == 31000)
    #expect(service.internalTrafficPolicy == .local && service.externalTrafficPolicy == .local)
    #expect(service.publishNotReadyAddresses && service.trafficDistribution == "PreferClose")
    #expect(service.loadBalancerClass == "other/one")
    #expect(service.loadBalancerSourceRanges.map(\.description) == ["192.0.2.0/24", "2001:db8::/32"])
    #expect(service.loadBalancerIPs.map(\.description) == ["203.0.113.1"])
    #expect(service.ports.first?.targetPort == .number(80) && service.ports.first?.nodePort == 30080)
    #expect(service.ports.first?.appProtocol == "http")

    let plain = try Service(
      yaml(
        """
        metadata: {name: s, annotations: {service.beta.kubernetes.io/load-balancer-source-ranges: "10.0.0.0/8, ::/0"}}
        spec: {sessionAffinity: ClientIP, clusterIP: None, ports: [{port: 80, nodePort: 0}]}
        """))
    #expect(plain.type == .clusterIP && plain.affinityTimeout == 10_800 && plain.isHeadless)
    #expect(plain.internalTrafficPolicy == .cluster && plain.externalTrafficPolicy == .cluster)
    #expect(plain.ports.first?.nodePort == nil && plain.loadBalancerSourceRanges.count == 2)
  }

  @Test(arguments: [
    ("{type: Node}", "spec.type"), ("{sessionAffinity: IP}", "spec.sessionAffinity"),
    ("{ipFamilies: [4]}", "spec.ipFamilies[0]"), ("{externalTrafficPolicy: Global}", "spec.externalTrafficPolicy"),
    ("{loadBalancerSourceRanges: [10.0.0.0/33]}", "spec.loadBalancerSourceRanges[0]"),
    ("{ports: [{port: 80, nodePort: 70000}]}", "spec.ports[0].nodePort"),
  ])
  func serviceRefuses(_ spec: String, _ path: String) throws {
    let error = try #require(throws: FieldError.self) {
      try Service(yaml("{metadata: {name: s}, spec: \(spec)}"))
    }
    #expect(error.path == path)
  }

  @Test func hintsOfEndpoints() throws {
    let slice = try EndpointSlice(
      yaml(
        """
        metadata: {name: s-1}
        addressType: IPv6
        ports: [{port: 8080, appProtocol: http}]
        endpoints:
        - {addresses: ["fd00::1"], nodeName: n1, zone: a, hints: {forZones: [{name: a}, {name: b}], forNodes: [{name: n1}]}}
        - {addresses: ["fd00::2"]}
        """))
    #expect(slice.endpoints.map(\.zone) == ["a", nil] && slice.endpoints.map(\.zoneHints) == [["a", "b"], []])
    #expect(slice.endpoints[0].nodeHints == ["n1"] && slice.ports[0].appProtocol == "http")
  }

  @Test func networkPolicy() throws {
    let policy = try NetworkPolicy(
      yaml(
        """
        metadata: {name: p}
        spec:
          podSelector: {matchLabels: {app: x}}
          ingress:
          - from:
            - {podSelector: {}, namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "n"}}}
            - {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}
            ports: [{port: 80, endPort: 90}, {port: http}]
          egress: [{}]
        """))
    #expect(policy.policyTypes == [.ingress, .egress])
    #expect(policy.podSelector.requirements.map(\.key.description) == ["k8s:app"])
    #expect(policy.ingress[0].ports.map(\.port) == [.number(80), .name("http")])
    #expect(policy.egress[0].peers.isEmpty && policy.egress[0].ports.isEmpty)
  }

  @Test(arguments: [
    ("{ingres: []}", "spec.ingres"), ("{ingress: [{from: [{}]}]}", "spec.ingress[0].from[0]"),
    ("{ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}", "spec.ingress[0].from[0].ipBlock.cidr"),
    ("{ingress: [{from: [{podSelector: {}, ipBlock: {}}]}]}", "spec.ingress[0].from[0].ipBlock"),
    ("{ingress: [{ports: [{port: 0}]}]}", "spec.ingress[0].ports[0].port"),
    ("{ingress: [{ports: [{protocol: ANY}]}]}", "spec.ingress[0].ports[0].protocol"),
    ("{podSelector: {matchLabels: {'k8s:a': b}}}", "spec.podSelector.matchLabels[k8s:a]"),
    ("{policyTypes: [Both]}", "spec.policyTypes[0]"),
  ])
  func networkPolicyRefuses(_ spec: String, _ path: String) throws {
    let error = try #require(throws: FieldError.self) {
      try NetworkPolicy(yaml("{metadata: {name: p}, spec: \(spec)}"))
    }
    #expect(error.path == path)
  }

  @Test func nodesAndIdentities() throws {
    let node = try Node(
      yaml(
        """
        metadata: {name: w1}
        spec: {podCIDRs: [10.0.0.0/24, "fd00::/64"]}
        status: {addresses: [{type: Hostname, address: w1}, {type: InternalIP, address: 192.0.2.1}]}
        """))
    #expect(node.podCIDRs.count == 2 && node.internalIPs.map(\.description) == ["192.0.2.1"])
    let identity = try CiliumIdentity(yaml("{metadata: {name: '256'}, security-labels: {'k8s:app': x}}"))
    #expect(identity.identity == 256 && identity.securityLabels == ["k8s:app": "x"])
    #expect(throws: FieldError.self) { try CiliumIdentity(yaml("{metadata: {name: x}, security-labels: {}}")) }
    let endpoint = try CiliumEndpoint(
      yaml(
        """
        metadata: {name: a, namespace: "n"}
        status: {id: 7, identity: {id: 256}, networking: {addressing: [{ipv4: 10.0.0.1, ipv6: "fd00::1"}], node: 192.0.2.1}}
        """))
    #expect(endpoint.addresses.count == 2 && endpoint.identity == 256)
    let secret = try Secret(yaml("{metadata: {name: s}, data: {a: Yg==}, stringData: {c: d}}"))
    #expect(secret.data == ["a": Array("b".utf8), "c": Array("d".utf8)])
  }

  @Test(arguments: [
    (Pod.resource.path(), "/api/v1/pods"),
    (Pod.resource.path(namespace: "n", name: "a"), "/api/v1/namespaces/n/pods/a"),
    (Node.resource.path(namespace: "n", name: "a"), "/api/v1/nodes/a"),
    (
      CiliumNetworkPolicy.resource.path(namespace: "n", name: "a", subresource: "status"),
      "/apis/cilium.io/v2/namespaces/n/ciliumnetworkpolicies/a/status"
    ),
  ])
  func paths(_ path: String, _ expected: String) {
    #expect(path == expected)
  }
}
