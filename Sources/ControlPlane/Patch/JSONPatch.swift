import JSON

/// Why a patch can not be applied.
struct PatchError: Error, Hashable, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

extension JSONValue {
  /// Applies a JSON patch (RFC 6902).
  func applying(jsonPatch patch: JSONValue) throws(PatchError) -> JSONValue {
    guard let operations = patch.arrayValue else { throw PatchError("a JSON patch must be an array of operations") }
    var document = self
    for operation in operations {
      guard let name = operation["op"]?.stringValue, let pointer = operation["path"]?.stringValue else {
        throw PatchError("an operation needs op and path")
      }
      let path = try JSONValue.steps(pointer)
      func operand() throws(PatchError) -> JSONValue {
        guard let value = operation["value"] else { throw PatchError("operation \(name) needs a value") }
        return value
      }
      func source() throws(PatchError) -> [String] {
        guard let from = operation["from"]?.stringValue else { throw PatchError("operation \(name) needs from") }
        return try JSONValue.steps(from)
      }
      switch name {
      case "add": try document.edit(path, .add(try operand()))
      case "replace": try document.edit(path, .replace(try operand()))
      case "remove": try document.edit(path, .remove)
      case "copy": try document.edit(path, .add(try document.find(try source())))
      case "move":
        let from = try source()
        let value = try document.find(from)
        try document.edit(from, .remove)
        try document.edit(path, .add(value))
      case "test":
        guard try document.find(path) == operand() else { throw PatchError("testing value \(pointer) failed") }
      default: throw PatchError("unknown operation \"\(name)\"")
      }
    }
    return document
  }

  private enum Edit {
    case add(JSONValue)
    case replace(JSONValue)
    case remove
  }

  private static func steps(_ pointer: String) throws(PatchError) -> [String] {
    if pointer.isEmpty { return [] }
    guard pointer.hasPrefix("/") else { throw PatchError("path \"\(pointer)\" must start with /") }
    return pointer.dropFirst().split(separator: "/", omittingEmptySubsequences: false).map { part in
      part.split(separator: "~1", omittingEmptySubsequences: false).joined(separator: "/")
        .split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~")
    }
  }

  private func find(_ path: [String]) throws(PatchError) -> JSONValue {
    var value = self
    for step in path {
      if let elements = value.arrayValue, let index = Int(step), elements.indices.contains(index) {
        value = elements[index]
      } else if let next = value[step] {
        value = next
      } else {
        throw PatchError("path /\(path.joined(separator: "/")) does not exist")
      }
    }
    return value
  }

  private mutating func edit(_ path: [String], _ edit: Edit) throws(PatchError) {
    guard let first = path.first else {
      switch edit {
      case .add(let value), .replace(let value): self = value
      case .remove: self = .null
      }
      return
    }
    let rest = Array(path.dropFirst())
    switch self {
    case .object(var members):
      if rest.isEmpty {
        if case .add = edit {} else if members[first] == nil { throw PatchError("key \(first) does not exist") }
        switch edit {
        case .add(let value), .replace(let value): members[first] = value
        case .remove: members[first] = nil
        }
      } else {
        guard var child = members[first] else { throw PatchError("path step \(first) does not exist") }
        try child.edit(rest, edit)
        members[first] = child
      }
      self = .object(members)
    case .array(var elements):
      if rest.isEmpty, case .add(let value) = edit {
        guard let index = first == "-" ? elements.count : Int(first), 0...elements.count ~= index else {
          throw PatchError("index \(first) is out of bounds")
        }
        elements.insert(value, at: index)
      } else {
        guard let index = Int(first), elements.indices.contains(index) else {
          throw PatchError("index \(first) is out of bounds")
        }
        if rest.isEmpty {
          if case .replace(let value) = edit { elements[index] = value } else { elements.remove(at: index) }
        } else {
          try elements[index].edit(rest, edit)
        }
      }
      self = .array(elements)
    default: throw PatchError("path step \(first) leads into a \(typeName)")
    }
  }
}
