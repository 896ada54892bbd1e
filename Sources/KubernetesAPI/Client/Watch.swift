import AsyncHTTPClient
import JSON

/// A change of an object, as a watch reports it.
public enum WatchEvent: Hashable, Sendable {
  case added(JSONValue)
  case modified(JSONValue)
  /// With the object's last state.
  case deleted(JSONValue)
  /// Nothing changed up to this resource version.
  case bookmark(resourceVersion: String)
  /// The server ends the watch; 410 means that its resource version is too old.
  case error(KubernetesError)

  init(parsing line: some Collection<UInt8>) throws(KubernetesError) {
    let event: JSONValue
    do throws(JSONError) {
      event = try JSONValue(parsing: line)
    } catch {
      throw .malformed("watch event: \(error)")
    }
    guard let object = event["object"] else { throw .malformed("watch event without an object") }
    switch event["type"]?.stringValue {
    case "ADDED": self = .added(object)
    case "MODIFIED": self = .modified(object)
    case "DELETED": self = .deleted(object)
    case "BOOKMARK":
      self = .bookmark(resourceVersion: object[path: "metadata", "resourceVersion"]?.stringValue ?? "")
    case "ERROR": self = .error(KubernetesError(status: object, code: 500))
    case let other: throw .malformed("watch event of type \(other ?? "null")")
    }
  }
}

/// The events of one watch, until the server ends it. A connection that breaks throws; a half line at its end is
/// dropped, as the next watch will repeat what it would have said.
public struct WatchEvents: AsyncSequence, Sendable {
  public typealias Failure = KubernetesError
  let body: HTTPClientResponse.Body

  public struct AsyncIterator: AsyncIteratorProtocol {
    var body: HTTPClientResponse.Body.AsyncIterator
    var lines = LineSplitter()

    public mutating func next() async throws(KubernetesError) -> WatchEvent? {
      while true {
        if let line = lines.next() { return try WatchEvent(parsing: line) }
        guard !lines.isTooLong else { throw .malformed("watch event of more than \(lines.maximumLine) bytes") }
        do {
          guard let bytes = try await body.next() else { return nil }
          lines.append(bytes.readableBytesView)
        } catch {
          throw .transport(KubernetesClient.describe(error))
        }
      }
    }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(body: body.makeAsyncIterator()) }
}

extension KubernetesClient {
  /// Watches the objects that `options` select (its limit and continuation do not apply) from `resourceVersion` on.
  /// Returns when the server has accepted. The server ends the watch after `timeout`.
  public func watch(
    _ type: ResourceType, namespace: String? = nil, _ options: ListOptions = ListOptions(), resourceVersion: String,
    timeout: Duration = .seconds(300)
  ) async throws(KubernetesError) -> WatchEvents {
    let selection = ListOptions(labelSelector: options.labelSelector, fieldSelector: options.fieldSelector)
    let query =
      selection.query + [
        ("watch", "true"), ("allowWatchBookmarks", "true"), ("resourceVersion", resourceVersion),
        ("timeoutSeconds", String(timeout.components.seconds)),
      ]
    let request = try prepared(.GET, type.path(namespace: namespace), query: query)
    let response = try await withDeadline(requestTimeout) { [http] () async throws(KubernetesError) in
      do {
        return try await http.execute(request, deadline: .distantFuture)
      } catch {
        throw .transport(KubernetesClient.describe(error))
      }
    }
    guard response.status.code == 200 else {
      do {
        let bytes = try await response.body.collect(upTo: 1 << 20)
        _ = try KubernetesClient.value(code: Int(response.status.code), bytes)
      } catch let error as KubernetesError {
        throw error
      } catch {
        throw .transport(KubernetesClient.describe(error))
      }
      throw .malformed("status \(response.status.code) for a watch")
    }
    return WatchEvents(body: response.body)
  }
}
