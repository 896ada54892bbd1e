import JSON
import Logging
import Synchronization

/// Answers requests of the Kubernetes API from a store. Knows nothing of sockets.
final class APIServer: Sendable {
  let store: Store
  let builtin: BuiltinResources
  let logger: Logger
  let services: ServiceStrategy
  /// The log of a pod: namespace, name, follow, number of last lines; nil when there is none.
  let podLog: @Sendable (PodLogRequest) async throws -> PodLog?
  private let current: Mutex<Registry>
  /// The resources served by the latest refresh.
  private let refreshing = Mutex<Set<String>>([])
  let openAPI = OpenAPICache()

  init(
    store: Store, builtin: BuiltinResources, services: ServiceStrategy, logger: Logger,
    podLog: @escaping @Sendable (PodLogRequest) async throws -> PodLog? = { _ in nil }
  ) {
    self.store = store
    self.builtin = builtin
    self.logger = logger
    self.services = services
    self.podLog = podLog
    current = Mutex(Registry(builtin.resources, objectMeta: builtin.objectMeta))
  }

  var registry: Registry { current.withLock { $0 } }

  /// Serves what the stored CustomResourceDefinitions say, and ends the watches of kinds that are no longer served.
  func refreshRegistry() throws {
    // One at a time: of two refreshes the one that read the older definitions must not be the last.
    try refreshing.withLock { served throws in
      var resources = builtin.resources
      for object in store.list(Lifecycle.definitions, ObjectFilter()).objects {
        resources += CustomResources.resources(definition: try object.value(), objectMeta: builtin.objectMeta)
      }
      let registry = Registry(resources, objectMeta: builtin.objectMeta)
      current.withLock { $0 = registry }
      openAPI.invalidate()
      let names = Set(resources.map(\.qualifiedName))
      for name in served.subtracting(names) { store.endWatches(of: name) }
      served = names
    }
  }

  /// Writes to the store, and serves other kinds when that changed a CustomResourceDefinition.
  func write<Result: Sendable>(_ body: (inout StoreTransaction) throws -> Result) throws -> Result {
    let (result, changesKinds) = try store.write { transaction -> (Result, Bool) in
      let result = try body(&transaction)
      try services.assignReleased(registry, &transaction)
      return (result, transaction.changes.contains { $0.object.key.resource == Lifecycle.definitions })
    }
    if changesKinds { try refreshRegistry() }
    return result
  }

  func respond(to request: APIRequest) async -> APIResponse {
    do {
      return try await route(request)
    } catch let status as APIStatus {
      return APIResponse(status)
    } catch let error as PatchError {
      return APIResponse(.badRequest(error.description))
    } catch {
      logger.error("request failed", metadata: ["path": "\(request.path)", "error": "\(error)"])
      return APIResponse(.internalError("\(error)"))
    }
  }

  private func route(_ request: APIRequest) async throws -> APIResponse {
    let registry = registry
    if request.method == .get, let response = try discovery(request, registry) { return response }
    guard let target = ResourceTarget(path: request.path, registry: registry) else { throw APIStatus.noSuchPath }
    if target.resource.isReview { return try review(request, target) }
    switch target.subresource {
    case "": break
    case "status" where target.resource.hasStatus: break
    case "log" where target.resource.qualifiedName == "pods" && request.method == .get:
      return try await log(request, target)
    case "finalize" where target.resource.qualifiedName == "namespaces": break
    default: throw APIStatus.noSuchPath
    }
    var response = try await perform(request, target)
    if [.post, .put, .patch].contains(request.method), let warning = APIServer.idleWarning(target.resource) {
      response.warnings.append(warning)
    }
    return response
  }

  private func perform(_ request: APIRequest, _ target: ResourceTarget) async throws -> APIResponse {
    switch (request.method, target.name.isEmpty) {
    case (.get, true): return request.flag("watch") ? try watch(request, target) : try list(request, target)
    case (.get, false):
      if request.flag("watch") { return try watch(request, target) }
      return try get(request, target)
    case (.post, true): return try create(request, target)
    case (.put, false): return try update(request, target)
    case (.patch, false): return try patch(request, target)
    case (.delete, false): return try delete(request, target)
    case (.delete, true): return try deleteCollection(request, target)
    default: throw APIStatus.methodNotAllowed
    }
  }
}
