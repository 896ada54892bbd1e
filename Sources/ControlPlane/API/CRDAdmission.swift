import Clocks
import JSON

/// What the server adds to a CustomResourceDefinition, and what it refuses.
enum CRDAdmission {
  static func admit(_ value: inout JSONValue) throws {
    guard var names = value["spec"]?["names"], let kind = names["kind"]?.stringValue else { return }
    if names["listKind"] == nil { names["listKind"] = .string(kind + "List") }
    if names["singular"] == nil { names["singular"] = .string(kind.lowercased()) }
    value.set(["spec", "names"], to: names)
    if value["spec"]?["conversion"] == nil { value.set(["spec", "conversion"], to: ["strategy": "None"]) }
    let old = value["status"]?["conditions"]?.arrayValue ?? []
    func condition(_ type: JSONValue, _ reason: String, _ message: String) -> JSONValue {
      let time = old.first { $0["type"] == type }?["lastTransitionTime"] ?? .string(Timestamp.nowText)
      return [
        "type": type, "status": "True", "reason": .string(reason), "message": .string(message),
        "lastTransitionTime": time,
      ]
    }
    let storage = (value["spec"]?["versions"]?.arrayValue ?? []).first { $0["storage"]?.boolValue == true }
    value["status"] = [
      "acceptedNames": names,
      "storedVersions": .array([storage?["name"]].compactMap(\.self)),
      "conditions": [
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
      ],
    ]
  }

  static func causes(_ value: JSONValue) -> [APIStatus.Cause] {
    var causes: [APIStatus.Cause] = []
    guard let spec = value["spec"], let group = spec["group"]?.stringValue,
      let plural = spec["names"]?["plural"]?.stringValue
    else { return causes }
    let name = value.scalarText(at: ["metadata", "name"]) ?? ""
    if name != "\(plural).\(group)" {
      causes.append(
        .init(
          reason: "FieldValueInvalid",
          message: "Invalid value: \(JSONValue.string(name).text()): must be spec.names.plural+\".\"+spec.group",
          field: "metadata.name"))
    }
    let versions = spec["versions"]?.arrayValue ?? []
    if versions.count(where: { $0["storage"]?.boolValue == true }) != 1 {
      causes.append(
        .init(
          reason: "FieldValueInvalid",
          message: "Invalid value: must have exactly one version marked as storage version", field: "spec.versions"))
    }
    for (index, version) in versions.enumerated() where version["schema"]?["openAPIV3Schema"] == nil {
      causes.append(
        .init(
          reason: "FieldValueRequired", message: "Required value: schemas are required",
          field: "spec.versions[\(index)].schema.openAPIV3Schema"))
    }
    return causes
  }
}
