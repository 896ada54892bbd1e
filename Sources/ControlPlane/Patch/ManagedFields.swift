import Clocks
import JSON

/// `metadata.managedFields`: which client set which field.
enum ManagedFields {
  struct Entry: Sendable {
    var manager: String
    var operation: String
    var apiVersion: String
    var subresource: String
    var time: String
    var fields: FieldSet

    func isApply(by operation: ApplyOperation) -> Bool {
      self.operation == "Apply" && manager == operation.manager && subresource == operation.subresource
    }

    var json: JSONValue {
      var json: JSONValue = [
        "manager": .string(manager), "operation": .string(operation), "apiVersion": .string(apiVersion),
        "time": .string(time), "fieldsType": "FieldsV1", "fieldsV1": fields.fieldsV1,
      ]
      if !subresource.isEmpty { json["subresource"] = .string(subresource) }
      return json
    }
  }

  static func decode(_ object: JSONValue) -> [Entry] {
    (object["metadata"]?["managedFields"]?.arrayValue ?? []).compactMap { json in
      guard let manager = json["manager"]?.stringValue, let operation = json["operation"]?.stringValue else {
        return nil
      }
      return Entry(
        manager: manager, operation: operation, apiVersion: json["apiVersion"]?.stringValue ?? "",
        subresource: json["subresource"]?.stringValue ?? "", time: json["time"]?.stringValue ?? "",
        fields: FieldSet(fieldsV1: json["fieldsV1"] ?? [:]))
    }
  }

  /// Notes the fields that an update changed.
  static func recordUpdate(
    _ value: inout JSONValue, old: JSONValue?, _ request: APIRequest, _ target: ResourceTarget
  ) {
    let schema = target.resource.schema
    var changed = FieldSet(changedFrom: old, to: value, schema)
    changed.removeServerFields()
    var entries = decode(value)
    if !changed.isEmpty {
      for index in entries.indices { entries[index].fields = entries[index].fields.subtracting(changed) }
      let isMine: (Entry) -> Bool = { entry in
        entry.operation == "Update" && entry.manager == request.fieldManager
          && entry.subresource == target.subresource && entry.apiVersion == target.resource.groupVersion
      }
      if let index = entries.firstIndex(where: isMine) {
        entries[index].fields = entries[index].fields.union(changed)
        entries[index].time = Timestamp.nowText
      } else {
        entries.append(
          Entry(
            manager: request.fieldManager, operation: "Update", apiVersion: target.resource.groupVersion,
            subresource: target.subresource, time: Timestamp.nowText, fields: changed))
      }
    }
    write(entries, into: &value, schema)
  }

  /// Notes the fields of an apply. Fields that it took from others with another value are no longer theirs.
  static func apply(_ operation: ApplyOperation, to value: inout JSONValue, live: JSONValue?, _ resource: Resource) {
    let fields = FieldSet(of: operation.configuration, resource.schema)
    let taken = live.map { FieldSet(changedFrom: $0, to: operation.configuration, resource.schema) } ?? FieldSet()
    var entries = live.map(decode) ?? []
    var time = Timestamp.nowText
    for index in entries.indices {
      if entries[index].isApply(by: operation) {
        if entries[index].fields == fields { time = entries[index].time }
      } else {
        entries[index].fields = entries[index].fields.subtracting(taken)
      }
    }
    entries.removeAll { $0.isApply(by: operation) }
    entries.append(
      Entry(
        manager: operation.manager, operation: "Apply", apiVersion: resource.groupVersion,
        subresource: operation.subresource, time: time, fields: fields))
    write(entries, into: &value, resource.schema)
  }

  private static func write(_ entries: [Entry], into value: inout JSONValue, _ schema: Schema) {
    let present = FieldSet(of: value, schema)
    let kept = entries.compactMap { entry -> JSONValue? in
      var entry = entry
      entry.fields = entry.fields.restricted(to: present)
      return entry.fields.isEmpty ? .none : .some(entry.json)
    }
    value.set(["metadata", "managedFields"], to: kept.nonEmpty.map(JSONValue.array))
  }

  /// True when nothing but the times of managed fields differs; such a write is not made.
  static func isSame(_ left: JSONValue, _ right: JSONValue) -> Bool {
    func timeless(_ value: JSONValue) -> JSONValue {
      var value = value
      let entries = (value["metadata"]?["managedFields"]?.arrayValue ?? []).map { entry in
        var entry = entry
        entry["time"] = nil
        return entry
      }
      value.set(["metadata", "managedFields"], to: .array(entries.sorted { $0.text() < $1.text() }))
      return value
    }
    return timeless(left) == timeless(right)
  }
}
