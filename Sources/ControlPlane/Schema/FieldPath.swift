/// A place in an object, as Kubernetes writes it: `spec.ports[0].port`, `data[a.b]`.
struct FieldPath: Sendable, CustomStringConvertible {
  let description: String

  static let root = FieldPath(description: "")

  func member(_ key: String, ofMap isMap: Bool = false) -> FieldPath {
    if isMap { return FieldPath(description: "\(description)[\(key)]") }
    return FieldPath(description: description.isEmpty ? key : "\(description).\(key)")
  }

  func element(_ index: Int) -> FieldPath { FieldPath(description: "\(description)[\(index)]") }
}
