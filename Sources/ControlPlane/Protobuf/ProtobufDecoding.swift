import Clocks
import JSON

/// Turns Kubernetes' Protocol Buffers into the JSON of the same object, led by the kind's schema. Only kinds of which
/// `ProtobufFields` has the numbers can be read.
enum ProtobufDecoding {
  static let contentType = "application/vnd.kubernetes.protobuf"

  /// Nil when the kind is not one that can be read in this form.
  static func object(_ body: [UInt8], _ resource: Resource) throws(APIStatus) -> JSONValue? {
    guard let raw = try envelope(body), let type = resource.schema.rules.name, ProtobufFields.types[type] != nil else {
      return nil
    }
    do {
      var object = try message(raw, resource.schema)
      object["apiVersion"] = .string(resource.groupVersion)
      object["kind"] = .string(resource.kind)
      return object
    } catch {
      throw .badRequest("error decoding the body: malformed protocol buffers")
    }
  }

  static func deleteOptions(_ body: [UInt8]) throws(APIStatus) -> JSONValue {
    guard let raw = try envelope(body) else { return .null }
    var options: JSONValue = [:]
    do {
      var reader = ProtobufReader(raw)
      while let (number, value) = try reader.next() {
        switch (number, value) {
        case (1, .varint(let seconds)): options["gracePeriodSeconds"] = .integer(Int64(bitPattern: seconds))
        case (2, .bytes(let bytes)):
          var inner = ProtobufReader(bytes)
          while case (let number, .bytes(let text))? = try inner.next() {
            options.set(["preconditions", number == 1 ? "uid" : "resourceVersion"], to: string(text))
          }
        case (3, .varint(let flag)): options["orphanDependents"] = .bool(flag != 0)
        case (4, .bytes(let text)): options["propagationPolicy"] = string(text)
        case (5, .bytes(let text)):
          options["dryRun"] = .array((options["dryRun"]?.arrayValue ?? []) + [string(text)])
        default: break
        }
      }
    } catch {
      throw .badRequest("error decoding the body: malformed protocol buffers")
    }
    return options
  }

  /// The object inside of the envelope: the bytes `k8s\0`, then a message whose field 2 is the object.
  private static func envelope(_ body: [UInt8]) throws(APIStatus) -> ArraySlice<UInt8>? {
    guard body.starts(with: [0x6B, 0x38, 0x73, 0]) else {
      throw .badRequest("error decoding the body: protocol buffers without their prefix")
    }
    do {
      var reader = ProtobufReader(body[4...])
      while let (number, value) = try reader.next() {
        if number == 2, case .bytes(let raw) = value { return raw }
      }
    } catch {
      throw .badRequest("error decoding the body: malformed protocol buffers")
    }
    return nil
  }

  private static func string(_ bytes: ArraySlice<UInt8>) -> JSONValue {
    .string(String(decoding: bytes, as: UTF8.self))
  }

  private static func message(
    _ bytes: ArraySlice<UInt8>, _ schema: Schema
  ) throws(ProtobufReader.Malformed) -> JSONValue {
    let fields = schema.rules.name.flatMap { ProtobufFields.types[$0] } ?? [:]
    var object: [String: JSONValue] = [:]
    var reader = ProtobufReader(bytes)
    while let (number, value) = try reader.next() {
      guard let field = fields[number] else { continue }
      let steps = field.split(separator: "/").map(String.init)
      guard let member = schema.rules.properties[steps[0]] else { continue }
      if steps.count == 2, case .bytes(let wrapper) = value {
        var inner = ProtobufReader(wrapper)
        while let (number, value) = try inner.next() {
          if String(number) == steps[1] { try add(value, steps[0], member, to: &object) }
        }
      } else {
        try add(value, field, member, to: &object)
      }
    }
    return .object(object)
  }

  private static func add(
    _ value: ProtobufReader.Value, _ field: String, _ schema: Schema, to object: inout [String: JSONValue]
  ) throws(ProtobufReader.Malformed) {
    if let items = schema.rules.items {
      guard let element = try decoded(value, items) else { return }
      object[field] = .array((object[field]?.arrayValue ?? []) + [element])
    } else if let values = schema.rules.additionalProperties, case .bytes(let entry) = value {
      var reader = ProtobufReader(entry)
      var key = ""
      var member: JSONValue = ""
      while let (number, value) = try reader.next() {
        if number == 1, case .bytes(let text) = value { key = String(decoding: text, as: UTF8.self) }
        if number == 2 { member = try decoded(value, values) ?? "" }
      }
      var members = object[field]?.objectValue ?? [:]
      members[key] = member
      object[field] = .object(members)
    } else if let single = try decoded(value, schema) {
      // Absent and empty are the same in this form.
      if single == "" || single == 0 || single.objectValue?.isEmpty == true { return }
      object[field] = single
    }
  }

  private static func decoded(
    _ value: ProtobufReader.Value, _ schema: Schema
  ) throws(ProtobufReader.Malformed) -> JSONValue? {
    switch (value, schema.rules.type) {
    case (.varint(let number), .boolean): return .bool(number != 0)
    case (.varint(let number), .integer): return .integer(Int64(bitPattern: number))
    case (.bytes(let bytes), .string):
      switch schema.rules.format {
      case "byte": return .string(Base64.encode(Array(bytes)))
      case "date-time":
        var reader = ProtobufReader(bytes)
        guard case (1, .varint(let seconds))? = try reader.next(), let time = Int(exactly: Int64(bitPattern: seconds))
        else { return nil }
        return .string(Timestamp.text(seconds: time))
      default: return string(bytes)
      }
    case (.bytes(let bytes), .intOrString):
      var reader = ProtobufReader(bytes)
      var isText = false
      var number: Int64 = 0
      var text: JSONValue = ""
      while let (field, value) = try reader.next() {
        switch (field, value) {
        case (1, .varint(let kind)): isText = kind == 1
        case (2, .varint(let value)): number = Int64(bitPattern: value)
        case (3, .bytes(let bytes)): text = string(bytes)
        default: break
        }
      }
      return isText ? text : .integer(number)
    case (.bytes(let bytes), .object): return try message(bytes, schema)
    default: return nil
    }
  }
}
