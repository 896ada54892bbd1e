import JSON

extension APIServer {
  /// `?watch=true`: a stream of events, one JSON document a line.
  func watch(_ request: APIRequest, _ target: ResourceTarget) throws -> APIResponse {
    let resource = target.resource
    let filter = try filter(request, target)
    let representation = Representation(request)
    let bookmarks = request.flag("allowWatchBookmarks")
    let timeout = request.query["timeoutSeconds"].flatMap { Int($0) } ?? 1800 + Int.random(in: 0..<1800)
    let text = request.query["resourceVersion"] ?? ""
    let existing: ListPage?
    let events: AsyncStream<WatchEvent>
    if text.isEmpty || text == "0" || request.flag("sendInitialEvents") {
      let start = store.watchFromNow(
        resource.qualifiedName, filter, bookmarks: bookmarks, timeout: .seconds(timeout))
      existing = start.existing
      events = start.events
    } else {
      guard let version = UInt64(text) else {
        throw APIStatus.badRequest("invalid resource version \"\(text)\"")
      }
      existing = nil
      do {
        events = try store.watch(
          resource.qualifiedName, filter, after: version, bookmarks: bookmarks, timeout: .seconds(timeout))
      } catch {
        // Clients expect this inside of the stream.
        return APIResponse(body: .stream { sink in try await sink.write(Frame.error(error)) })
      }
    }
    let marksEnd = request.flag("sendInitialEvents")
    return APIResponse(
      body: .stream { [self] sink in
        var isFirst = true
        func frame(_ kind: StoreChange.Kind, _ object: StoredObject) throws -> [UInt8] {
          defer { isFirst = false }
          return try Frame.change(kind, body(object, resource, representation, headers: isFirst))
        }
        if let existing {
          for object in existing.objects { try await sink.write(try frame(.added, object)) }
          if marksEnd { try await sink.write(Frame.bookmark(existing.resourceVersion, resource, endsInitial: true)) }
        }
        for await event in events {
          switch event {
          case .change(let kind, let object): try await sink.write(try frame(kind, object))
          case .bookmark(let version): try await sink.write(Frame.bookmark(version, resource, endsInitial: false))
          }
        }
      })
  }

  private func body(
    _ object: StoredObject, _ resource: Resource, _ representation: Representation, headers: Bool
  ) throws -> [UInt8] {
    switch representation {
    case .object: return try bytes(object, resource)
    case .metadataOnly: return Table.partial(try value(object, resource)).serialized()
    case .table(let includeObject):
      let row = try Table.row(try value(object, resource), resource, includeObject: includeObject)
      let metadata: JSONValue = ["resourceVersion": .string(String(object.resourceVersion))]
      return Table.table([row], resource, metadata: metadata, headers: headers).serialized()
    }
  }
}

/// The lines of a watch.
enum Frame {
  static func change(_ kind: StoreChange.Kind, _ body: [UInt8]) -> [UInt8] {
    let type =
      switch kind {
      case .added: "ADDED"
      case .modified: "MODIFIED"
      case .deleted: "DELETED"
      }
    return line(type, body)
  }

  static func bookmark(_ version: UInt64, _ resource: Resource, endsInitial: Bool) -> [UInt8] {
    var metadata: JSONValue = ["resourceVersion": .string(String(version)), "creationTimestamp": .null]
    if endsInitial { metadata["annotations"] = ["k8s.io/initial-events-end": "true"] }
    let object: JSONValue = [
      "apiVersion": .string(resource.groupVersion), "kind": .string(resource.kind), "metadata": metadata,
    ]
    return line("BOOKMARK", object.serialized())
  }

  static func error(_ status: APIStatus) -> [UInt8] { line("ERROR", status.json.serialized()) }

  private static func line(_ type: String, _ body: [UInt8]) -> [UInt8] {
    var line = Array(#"{"type":"\#(type)","object":"#.utf8)
    line.reserveCapacity(line.count + body.count + 2)
    line += body
    line += Array("}\n".utf8)
    return line
  }
}
