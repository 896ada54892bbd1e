import JSON

/// The CustomResourceDefinitions of cilium.io that every start installs.
enum CiliumResources {
  private struct Definition {
    var kind: String
    var plural: String
    var short: [String]
    var isNamespaced = true
    var isPolicy = false
    var hasStatus = false
    var extraVersions: [String] = []
    var columns: [JSONValue] = []
  }

  private static let ageColumn = column("Age", "date", ".metadata.creationTimestamp")
  private static let validColumn = column("Valid", "string", ".status.conditions[?(@.type=='Valid')].status")

  private static func column(_ name: String, _ type: String, _ path: String, wide: Bool = false) -> JSONValue {
    var column: JSONValue = ["name": .string(name), "type": .string(type), "jsonPath": .string(path)]
    if wide { column["priority"] = 1 }
    return column
  }

  private static let definitions: [Definition] = [
    Definition(
      kind: "CiliumNetworkPolicy", plural: "ciliumnetworkpolicies", short: ["cnp", "ciliumnp"], isPolicy: true,
      hasStatus: true, columns: [ageColumn, validColumn]),
    Definition(
      kind: "CiliumClusterwideNetworkPolicy", plural: "ciliumclusterwidenetworkpolicies", short: ["ccnp"],
      isNamespaced: false, isPolicy: true, hasStatus: true, columns: [validColumn]),
    Definition(
      kind: "CiliumEndpoint", plural: "ciliumendpoints", short: ["cep", "ciliumep"],
      columns: [
        column("Security Identity", "integer", ".status.identity.id"),
        column("Ingress Enforcement", "string", ".status.policy.ingress.state", wide: true),
        column("Egress Enforcement", "string", ".status.policy.egress.state", wide: true),
        column("Endpoint State", "string", ".status.state"),
        column("IPv4", "string", ".status.networking.addressing[0].ipv4"),
        column("IPv6", "string", ".status.networking.addressing[0].ipv6"),
      ]),
    Definition(
      kind: "CiliumIdentity", plural: "ciliumidentities", short: ["ciliumid"], isNamespaced: false, hasStatus: true,
      columns: [
        column("Namespace", "string", #".metadata.labels.io\.kubernetes\.pod\.namespace"#), ageColumn,
      ]),
    Definition(
      kind: "CiliumNode", plural: "ciliumnodes", short: ["cn", "ciliumn"], isNamespaced: false, hasStatus: true,
      columns: [
        column("CiliumInternalIP", "string", #".spec.addresses[?(@.type=="CiliumInternalIP")].ip"#),
        column("InternalIP", "string", #".spec.addresses[?(@.type=="InternalIP")].ip"#), ageColumn,
      ]),
    Definition(
      kind: "CiliumEnvoyConfig", plural: "ciliumenvoyconfigs", short: ["cec"], hasStatus: true,
      columns: [ageColumn, validColumn]),
    Definition(
      kind: "CiliumClusterwideEnvoyConfig", plural: "ciliumclusterwideenvoyconfigs", short: ["ccec"],
      isNamespaced: false, hasStatus: true, columns: [ageColumn, validColumn]),
    Definition(
      kind: "CiliumCIDRGroup", plural: "ciliumcidrgroups", short: ["ccg"], isNamespaced: false,
      extraVersions: ["v2alpha1"]),
  ]

  static var kinds: [String] { definitions.map(\.kind) }

  /// The objects to store, without metadata that the server sets.
  static func customResourceDefinitions(schemas: [String: Schema]) -> [JSONValue] {
    definitions.compactMap { definition in schemas[definition.kind].map { object(definition, schema: $0) } }
  }

  private static func object(_ definition: Definition, schema: Schema) -> JSONValue {
    func version(_ name: String, isStorage: Bool) -> JSONValue {
      var version: JSONValue = [
        "name": .string(name), "served": true, "storage": .bool(isStorage),
        "schema": ["openAPIV3Schema": schema.structural(isRoot: true)],
      ]
      if definition.hasStatus { version["subresources"] = ["status": [:]] }
      if !definition.columns.isEmpty { version["additionalPrinterColumns"] = .array(definition.columns) }
      return version
    }
    let versions = [version("v2", isStorage: true)] + definition.extraVersions.map { version($0, isStorage: false) }
    return [
      "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
      "metadata": ["name": .string("\(definition.plural).cilium.io")],
      "spec": [
        "group": "cilium.io", "scope": definition.isNamespaced ? "Namespaced" : "Cluster",
        "names": [
          "kind": .string(definition.kind), "listKind": .string(definition.kind + "List"),
          "plural": .string(definition.plural), "singular": .string(definition.kind.lowercased()),
          "shortNames": .array(definition.short.map(JSONValue.string)),
          "categories": .array((definition.isPolicy ? ["cilium", "ciliumpolicy"] : ["cilium"]).map(JSONValue.string)),
        ],
        "versions": .array(versions),
      ],
    ]
  }
}

extension Schema {
  /// The schema in the form that a CustomResourceDefinition carries: no references, `metadata` left to the server.
  func structural(isRoot: Bool = false) -> JSONValue {
    var copy = rules
    copy.name = nil
    if isRoot { copy.properties["metadata"] = nil }
    var flat = Schema(copy).inlined(isRoot: isRoot)
    if isRoot {
      flat.set(["properties", "apiVersion"], to: ["type": "string"])
      flat.set(["properties", "kind"], to: ["type": "string"])
      flat.set(["properties", "metadata"], to: ["type": "object"])
    }
    return flat
  }

  private func inlined(isRoot: Bool) -> JSONValue {
    var shallow = rules
    shallow.properties = [:]
    shallow.additionalProperties = nil
    shallow.items = nil
    var components: [String: JSONValue] = [:]
    var json = Schema(shallow).inlineOpenAPI(components: &components, prefix: "")
    for key in ["x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key"] { json[key] = nil }
    if rules.type == .intOrString { json["oneOf"] = nil }
    if !rules.properties.isEmpty { json["properties"] = .object(rules.properties.mapValues { $0.structural() }) }
    if let additional = rules.additionalProperties { json["additionalProperties"] = additional.structural() }
    if let items = rules.items { json["items"] = items.structural() }
    func alternatives(_ schemas: [Schema]) -> JSONValue? {
      schemas.nonEmpty.map { .array($0.map { ["required": .array($0.rules.required.map(JSONValue.string))] }) }
    }
    json["anyOf"] = alternatives(rules.anyOf)
    json["oneOf"] = alternatives(rules.oneOf)
    return json
  }
}
