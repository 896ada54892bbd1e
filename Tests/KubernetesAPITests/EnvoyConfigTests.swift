import JSON
import Labels
import Testing

@testable import KubernetesAPI

@Suite struct EnvoyConfigTests {
  @Test func `services, backends and nodes`() throws {
    let config = try CiliumEnvoyConfig(
      yaml(
        """
        apiVersion: cilium.io/v2
        kind: CiliumEnvoyConfig
        metadata: {name: a, namespace: shop}
        spec:
          services:
          - {name: reviews, ports: [9080], listener: reviews-listener}
          - {name: ratings, namespace: shop}
          backendServices:
          - {name: reviews-v1, number: ["9080", http]}
          nodeSelector: {matchLabels: {zone: a}}
          resources: [{"@type": type.googleapis.com/envoy.config.listener.v3.Listener}]
        """))
    #expect(config.spec.services.map(\.namespace) == ["shop", "shop"])
    #expect(config.spec.services[0].ports == [9080] && config.spec.services[0].listener == "reviews-listener")
    #expect(config.spec.backendServices[0].ports == [.number(9080), .name("http")])
    #expect(config.spec.nodeSelector.matches(["zone": "a"]) && !config.spec.nodeSelector.matches([:]))
    #expect(config.spec.resources.path == "spec.resources")
  }

  static let refusals: [(String, String)] = [
    ("{resources: []}", ""),
    ("{}", "spec.resources: required"),
    ("{resources: {}}", "spec.resources: must be an array, is object"),
    ("{resources: [], extra: 1}", "spec.extra: unknown field"),
    ("{resources: [], services: [{}]}", "spec.services[0].name: required"),
    ("{resources: [], services: [{name: a, port: 1}]}", "spec.services[0].port: unknown field"),
    (
      "{resources: [], services: [{name: a, namespace: other}]}",
      "spec.services[0].namespace: must be the object's own namespace, shop"
    ),
    (
      "{resources: [], backendServices: [{name: a, number: ['0']}]}",
      "spec.backendServices[0].number[0]: must be from 1 to 65535, is 0"
    ),
    ("{resources: [], nodeSelector: {labels: {}}}", "spec.nodeSelector.labels: unknown field"),
  ]

  @Test(arguments: refusals) func `a refusal names the field`(_ spec: String, _ expected: String) throws {
    var message = ""
    do {
      _ = try CiliumEnvoyConfig(yaml("metadata: {name: a, namespace: shop}\nspec: \(spec)"))
    } catch let error as FieldError {
      message = error.description
    }
    #expect(message == expected)
  }

  @Test func `the clusterwide kind names namespaces`() throws {
    let config = try CiliumClusterwideEnvoyConfig(
      yaml(
        """
        metadata: {name: a}
        spec: {services: [{name: a, namespace: x}, {name: b}], resources: []}
        """))
    #expect(config.spec.services.map(\.namespace) == ["x", "default"])
  }
}
