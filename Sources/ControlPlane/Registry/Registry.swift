import JSON
import Synchronization

/// What is served, at this moment. A CustomResourceDefinition makes a new one.
struct Registry: Sendable {
  private(set) var resources: [Resource]
  private let byPath: [String: Int]
  let objectMeta: Schema

  init(_ resources: [Resource], objectMeta: Schema) {
    self.resources = resources
    self.objectMeta = objectMeta
    var byPath: [String: Int] = [:]
    for (index, resource) in resources.enumerated() {
      byPath["\(resource.groupVersion)/\(resource.plural)"] = index
    }
    self.byPath = byPath
  }

  func resource(group: String, version: String, plural: String) -> Resource? {
    byPath[(group.isEmpty ? version : "\(group)/\(version)") + "/" + plural].map { resources[$0] }
  }

  /// The resource of a stored object, in the version in which it is kept.
  func storage(of qualifiedName: String) -> Resource? {
    resources.first { $0.qualifiedName == qualifiedName && $0.version == $0.storageVersion }
      ?? resources.first { $0.qualifiedName == qualifiedName }
  }

  func resource(apiVersion: String, kind: String) -> Resource? {
    resources.first { $0.groupVersion == apiVersion && $0.kind == kind }
  }

  /// Groups in the order of discovery: the core first, then by name.
  var groups: [String] { Set(resources.map(\.group)).sorted() }

  /// The versions of a group, the preferred first.
  func versions(of group: String) -> [String] {
    var versions: [String] = []
    for resource in resources where resource.group == group && !versions.contains(resource.version) {
      versions.append(resource.version)
    }
    return versions.sorted { Registry.rank($0) > Registry.rank($1) }
  }

  func resources(group: String, version: String) -> [Resource] {
    resources.filter { $0.group == group && $0.version == version }.sorted { $0.plural < $1.plural }
  }

  /// Orders versions as Kubernetes does: v2 before v1 before v2beta1 before v1alpha1.
  private static func rank(_ version: String) -> (Int, Int, Int) {
    guard let match = version.wholeMatch(of: /v([0-9]+)(?:(alpha|beta)([0-9]+))?/) else { return (-1, 0, 0) }
    let stability = match.2.map { $0 == "beta" ? 1 : 0 } ?? 2
    return (stability, Int(match.1) ?? 0, match.3.flatMap { Int($0) } ?? 0)
  }
}
