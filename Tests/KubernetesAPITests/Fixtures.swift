import JSON
import Testing

@testable import KubernetesAPI

/// The value of the first document.
func yaml(_ text: String) throws -> JSONValue {
  try #require(YAMLDocument.parse(text).first).value
}

/// A CiliumNetworkPolicy with this spec, given as YAML.
func policy(spec: String) throws -> CiliumNetworkPolicy {
  let spec = try yaml(spec)
  return try CiliumNetworkPolicy([
    "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": ["name": "p"], "spec": spec,
  ])
}
