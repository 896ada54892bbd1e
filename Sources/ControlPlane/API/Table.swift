import Clocks
import JSON

/// `meta.k8s.io/v1` Table: what kubectl prints.
enum Table {
  static func row(_ value: JSONValue, _ resource: Resource, includeObject: String) throws -> JSONValue {
    let now = Timestamp.seconds()
    var row: JSONValue = ["cells": .array(resource.columns.map { $0.cell(value, now) })]
    switch includeObject {
    case "None": break
    case "Object": row["object"] = value
    default: row["object"] = partial(value)
    }
    return row
  }

  static func table(_ rows: [JSONValue], _ resource: Resource, metadata: JSONValue, headers: Bool) -> JSONValue {
    let columns: [JSONValue] = resource.columns.map { column in
      [
        "name": .string(column.name), "type": .string(column.type), "format": .string(column.format),
        "description": .string(column.description), "priority": .integer(Int64(column.priority)),
      ]
    }
    return [
      "apiVersion": "meta.k8s.io/v1", "kind": "Table", "metadata": metadata,
      "columnDefinitions": headers ? .array(columns) : .null, "rows": .array(rows),
    ]
  }

  static func partial(_ value: JSONValue) -> JSONValue {
    [
      "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
      "metadata": value["metadata"] ?? [:],
    ]
  }
}
