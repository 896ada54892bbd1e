import JSON
import Routing

/// What the agent says of a listener: `DIR/proxy/listeners/<number>.json`.
///
///     {"number": 7, "generation": "5d0c…", "object": {"kind": "CiliumEnvoyConfig", "namespace": "default", "name": "x"},
///      "listener": "l", "services": ["default/reviews", "default/reviews-v2"],
///      "claims": [{"service": "default/reviews", "ports": [9080]}], "resources": [{"@type": …}]}
public struct ListenerFile: Sendable {
  public let number: UInt32
  /// The agent's word for the rest of the content.
  public let generation: String
  /// `CiliumEnvoyConfig default/x`; a clusterwide one has no namespace.
  public let object: String
  /// nil for a clusterwide object.
  let namespace: String?
  public let listener: String
  /// `namespace/name`: those that are led here, and those that routes may name.
  public let services: [String]
  /// Which of `services` are led here, and by which ports: none for all of them. nil where the agent does not say.
  let claims: [String: Set<UInt16>]?
  private let texts: ResourceTexts

  public var resources: EnvoyResources { texts.resources }

  /// Decodes the file's text. Throws for what is not JSON, and for a field that is not as it must be, by its path.
  ///
  /// - Parameter previous: The file of that name until now; what of its resources has not changed is not decoded again.
  public init(_ content: [UInt8], reusing previous: ListenerFile? = nil) throws(RouteFileError) {
    var ranges: [String: Range<Int>] = [:]
    do throws(JSONError) {
      for member in try JSONOutline.members(content, in: content.indices) { ranges[member.key] = member.range }
    } catch {
      throw RouteFileError("\(error)")
    }
    do throws(FieldError) {
      func member(_ key: String) throws(FieldError) -> JSONCursor {
        let range = try ListenerFile.range(ranges, key)
        do throws(JSONError) {
          return JSONCursor(try JSONValue(parsing: content[range]), path: key)
        } catch {
          throw FieldError(path: key, message: "\(error)")
        }
      }
      number = try member("number").listenerNumber()
      generation = try member("generation").string()
      object = try member("object").objectName()
      namespace = try member("object").member("namespace")?.string()
      listener = try member("listener").string()
      services = try member("services").strings()
      claims = try ranges["claims"] == nil ? nil : member("claims").claims()
      texts = try ResourceTexts(
        content, in: try ListenerFile.range(ranges, "resources"), path: "resources", reusing: previous?.texts)
    } catch {
      throw RouteFileError("\(error)")
    }
  }

  /// The generation of a file that can not be used otherwise; nil where that can not be read either.
  static func generation(of content: [UInt8]) -> String? {
    let member = try? JSONOutline.members(content, in: content.indices).first { $0.key == "generation" }
    return member.flatMap { try? JSONValue(parsing: content[$0.range]).stringValue }
  }

  private static func range(_ ranges: [String: Range<Int>], _ key: String) throws(FieldError) -> Range<Int> {
    guard let range = ranges[key] else { throw FieldError(path: key, message: "required") }
    return range
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

  fileprivate func claims() throws(FieldError) -> [String: Set<UInt16>] {
    var claims: [String: Set<UInt16>] = [:]
    for element in try elements() {
      var ports: Set<UInt16> = []
      for port in try element.member("ports")?.elements() ?? [] {
        guard let number = UInt16(exactly: try port.integer()) else { throw port.error("must be from 0 to 65535") }
        ports.insert(number)
      }
      let service = try element.required("service").string()
      // No ports are all of them.
      let isWhole = ports.isEmpty || claims[service]?.isEmpty == true
      claims[service] = isWhole ? [] : claims[service, default: []].union(ports)
    }
    return claims
  }
}
