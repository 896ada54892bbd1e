import JSON

/// The kinds that are part of the program.
struct BuiltinResources: Sendable {
  let resources: [Resource]
  let objectMeta: Schema
  /// The schemas of the cilium.io kinds, which are served through CustomResourceDefinitions.
  let cilium: [String: Schema]

  init() throws(SchemaTextError) {
    var text = try SchemaText([
      metaSchemas, coreSchemas, podSchemas, networkingSchemas, extensionSchemas, ciliumPolicySchemas,
      ciliumNodeSchemas,
    ])
    objectMeta = try text.schema("ObjectMeta")
    var list: [Resource] = []
    for definition in BuiltinResources.definitions {
      var resource = definition
      let name = resource.schema.rules.name ?? ""
      resource.schema = name.isEmpty ? resource.schema : try text.schema(name)
      list.append(resource)
    }
    resources = list
    var cilium: [String: Schema] = [:]
    for kind in CiliumResources.kinds { cilium[kind] = try text.schema(kind) }
    self.cilium = cilium
  }

  private static func named(_ type: String) -> Schema {
    var rules = SchemaRules(type: .object)
    rules.name = type
    return Schema(rules)
  }

  private static func resource(
    _ groupVersion: String, _ kind: String, _ plural: String, short: [String] = [], all: Bool = false,
    cluster: Bool = false, status: Bool = false, fields: [String] = [], _ columns: [PrinterColumn]
  ) -> Resource {
    let parts = groupVersion.split(separator: "/").map(String.init)
    return Resource(
      group: parts.count > 1 ? parts[0] : "", version: parts.last ?? "v1", kind: kind, plural: plural,
      singular: kind.lowercased(), shortNames: short, categories: all ? ["all"] : [], isNamespaced: !cluster,
      schema: named(kind), hasStatus: status, columns: columns,
      selectable: fields.map { $0.split(separator: ".").map(String.init) }, storageVersion: parts.last ?? "v1")
  }

  private static func review(_ groupVersion: String, _ kind: String, cluster: Bool = true) -> Resource {
    var review = resource(groupVersion, kind, kind.lowercased() + "s", cluster: cluster, [])
    review.schema = .any
    review.isReview = true
    return review
  }

  private static let definitions: [Resource] = [
    resource(
      "v1", "Namespace", "namespaces", short: ["ns"], cluster: true, status: true, fields: ["status.phase"],
      BuiltinColumns.namespace),
    resource(
      "v1", "Node", "nodes", short: ["no"], cluster: true, status: true, fields: ["spec.unschedulable"],
      BuiltinColumns.node),
    resource(
      "v1", "Pod", "pods", short: ["po"], all: true, status: true,
      fields: [
        "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName",
      ], BuiltinColumns.pod),
    resource(
      "v1", "Service", "services", short: ["svc"], all: true, status: true, fields: ["spec.clusterIP", "spec.type"],
      BuiltinColumns.service),
    resource("v1", "Endpoints", "endpoints", short: ["ep"], BuiltinColumns.endpoints),
    resource("v1", "ServiceAccount", "serviceaccounts", short: ["sa"], BuiltinColumns.serviceAccount),
    resource("v1", "Secret", "secrets", fields: ["type"], BuiltinColumns.secret),
    resource("v1", "ConfigMap", "configmaps", short: ["cm"], BuiltinColumns.configMap),
    resource(
      "v1", "Event", "events", short: ["ev"],
      fields: [
        "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason",
        "reportingComponent", "source", "type",
      ], BuiltinColumns.event),
    resource("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", BuiltinColumns.endpointSlice),
    resource(
      "networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", short: ["netpol"], BuiltinColumns.networkPolicy),
    resource(
      "networking.k8s.io/v1", "Ingress", "ingresses", short: ["ing"], status: true, BuiltinColumns.ingress),
    resource(
      "networking.k8s.io/v1", "IngressClass", "ingressclasses", cluster: true,
      [
        BuiltinColumns.name, PrinterColumn(name: "Controller") { object, _ in object["spec"]?["controller"] ?? "" },
        BuiltinColumns.age,
      ]),
    resource("coordination.k8s.io/v1", "Lease", "leases", BuiltinColumns.lease),
    customResourceDefinition,
    review("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    review("authorization.k8s.io/v1", "SelfSubjectRulesReview"),
    review("authorization.k8s.io/v1", "SubjectAccessReview"),
    review("authentication.k8s.io/v1", "SelfSubjectReview"),
    review("authentication.k8s.io/v1", "TokenReview"),
  ]

  private static let customResourceDefinition: Resource = {
    var definition = resource(
      "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", short: ["crd", "crds"],
      cluster: true, status: true, BuiltinColumns.customResourceDefinition)
    definition.categories = ["api-extensions"]
    return definition
  }()
}
