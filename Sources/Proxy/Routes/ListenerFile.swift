import JSON
import Routing

/// What the agent says of a listener: `DIR/proxy/listeners/<number>.json`.
///
///     {"number": 7, "generation": "5d0c…", "object": {"kind": "CiliumEnvoyConfig", "namespace": "default", "name": "x"},
///      "listener": "l", "services": ["default/reviews"], "resources": [{"@type": …}]}
public struct ListenerFile: Sendable {
  public let number: UInt32
  /// The agent's word for the rest of the content.
  public let generation: String
  /// `CiliumEnvoyConfig default/x`; a clusterwide one has no namespace.
  public let object: String
  public let listener: String
  /// `namespace/name`
  public let services: [String]
  public let resources: EnvoyResources

  /// Decodes the file's text. Throws for what is not JSON, and for a field that is not as it must be, by its path.
  public init(_ content: [UInt8]) throws(RouteFileError) {
    let document: JSONValue
    do throws(JSONError) { document = try JSONValue(parsing: content) } catch { throw RouteFileError("\(error)") }
    do throws(FieldError) {
      let root = JSONCursor(document)
      number = try root.required("number").listenerNumber()
      generation = try root.required("generation").string()
      object = try root.required("object").objectName()
      listener = try root.required("listener").string()
      services = try root.required("services").strings()
      resources = try EnvoyResources(try root.required("resources"))
    } catch {
      throw RouteFileError("\(error)")
    }
  }
}

extension JSONCursor {
  fileprivate func listenerNumber() throws(FieldError) -> UInt32 {
    guard let number = UInt32(exactly: try integer()), 1...0xFFFF ~= number else {
      throw error("must be from 1 to 65535")
    }
    return number
  }

  fileprivate func objectName() throws(FieldError) -> String {
    let kind = try required("kind").string()
    let name = try required("name").string()
    guard let namespace = try member("namespace")?.string(), !namespace.isEmpty else { return "\(kind) \(name)" }
    return "\(kind) \(namespace)/\(name)"
  }

  fileprivate func strings() throws(FieldError) -> [String] {
    var strings: [String] = []
    for element in try elements() { strings.append(try element.string()) }
    return strings
  }
}
