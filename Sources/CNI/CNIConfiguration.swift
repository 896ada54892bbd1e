import JSON

/// The network configuration that a runtime writes to the plugin's standard input
/// (CNI 1.1.0, "Plugin configuration objects").
public struct CNIConfiguration: Hashable, Sendable {
  public var version: CNIVersion
  /// The network's name.
  public var name: String
  /// Path of the agent's unix socket; nil means that of the default state directory.
  public var agentSocket: String?
  /// The device MTU in bytes; nil leaves it to the agent.
  public var mtu: Int?
  /// The result of the earlier ADD, which CHECK (and DEL, since 0.4.0) gets back.
  public var previousResult: AttachmentResult?
  /// The attachments that GC must keep.
  public var validAttachments: [CNIAttachmentKey]

  /// Decodes and judges the text. `command` matters: CHECK needs `prevResult`, GC needs `cni.dev/valid-attachments`, and
  /// DEL overlooks what it does not need, as it has to succeed where ADD once did.
  public init(parsing text: [UInt8], for command: CNICommand) throws(CNIError) {
    try self.init(try CNIConfiguration.document(text), for: command)
  }

  public init(_ document: JSONValue, for command: CNICommand) throws(CNIError) {
    let root = JSONCursor(document)
    version = try CNIConfiguration.version(root)
    do {
      name = try root.required("name").string()
      guard CNIIdentifier.isValid(name) else {
        throw CNIError(.invalidConfiguration, "name: \"\(name)\" is not a valid network name")
      }
      agentSocket = try root.member("agentSocket")?.string()
      mtu = nil
      if let cursor = try root.member("mtu") {
        let value = try cursor.integer()
        guard (1280...65535).contains(value) else { throw cursor.error("must be between 1280 and 65535") }
        mtu = Int(value)
      }
      previousResult = nil
      validAttachments = []
      if command == .check || (command == .add && root.value["prevResult"]?.isNull == false) {
        previousResult = try AttachmentResult(root.required("prevResult"))
      }
      if command == .collectGarbage {
        // libcni wrote the second spelling before the specification settled on the first.
        let list = try root.member("cni.dev/valid-attachments") ?? root.required("cni.dev/attachments")
        for element in try list.elements() {
          validAttachments.append(
            CNIAttachmentKey(
              containerID: try element.required("containerID").string(),
              interfaceName: try element.required("ifname").string()))
        }
      }
    } catch let error as FieldError {
      throw CNIError(.invalidConfiguration, error.description)
    } catch let error as CNIError {
      throw error
    } catch {
      throw CNIError(.invalidConfiguration, "\(error)")
    }
    if command == .add {
      try CNIConfiguration.refuseUnknownFields(root)
      guard previousResult == nil else {
        throw CNIError(
          .invalidConfiguration, "prevResult: the plugin must be the first of its list",
          details: "it makes the pod's interface itself")
      }
    }
  }

  /// The document again, with what the plugin understood of it.
  public var json: JSONValue {
    var object: JSONValue = [
      "cniVersion": .string(version.rawValue), "name": .string(name), "type": "martlet",
      "cni.dev/valid-attachments": .array(
        validAttachments.map { ["containerID": .string($0.containerID), "ifname": .string($0.interfaceName)] }),
    ]
    object["agentSocket"] = agentSocket.map { .string($0) }
    object["mtu"] = mtu.map { .integer(Int64($0)) }
    object["prevResult"] = previousResult?.json(version: version)
    return object
  }

  static func document(_ text: [UInt8]) throws(CNIError) -> JSONValue {
    let document: JSONValue
    do {
      document = try JSONValue(parsing: text)
    } catch {
      throw CNIError(
        .undecodable, "the network configuration on standard input can not be decoded", details: "\(error)")
    }
    guard document.objectValue != nil else {
      throw CNIError(
        .undecodable, "the network configuration on standard input must be an object, is \(document.typeName)")
    }
    return document
  }

  private static func version(_ root: JSONCursor) throws(CNIError) -> CNIVersion {
    guard let text = root.value["cniVersion"]?.stringValue else {
      // Configurations without the key are of version 0.1.0 by the specification.
      throw CNIError(.incompatibleVersion, "cniVersion: required", details: supported)
    }
    guard let version = CNIVersion(rawValue: text) else {
      throw CNIError(.incompatibleVersion, "cniVersion: \"\(text)\" is not supported", details: supported)
    }
    return version
  }

  private static var supported: String {
    "supported are " + CNIVersion.allCases.map(\.rawValue).joined(separator: ", ")
  }

  private static let knownFields: Set<String> = [
    "cniVersion", "cniVersions", "name", "type", "args", "capabilities", "dns", "prevResult", "runtimeConfig",
    "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "agentSocket", "mtu",
  ]

  private static func refuseUnknownFields(_ root: JSONCursor) throws(CNIError) {
    for (key, value) in (root.value.objectValue ?? [:]).sorted(by: { $0.key < $1.key })
    where !knownFields.contains(key) && !key.hasPrefix("cni.dev/") {
      throw CNIError(.unsupportedField, "\(key): unsupported field, with the value \(value.text())")
    }
  }
}

/// One interface of one container: the key of all that CNI does.
public struct CNIAttachmentKey: Hashable, Sendable, CustomStringConvertible {
  public var containerID: String
  public var interfaceName: String

  public init(containerID: String, interfaceName: String) {
    self.containerID = containerID
    self.interfaceName = interfaceName
  }

  /// `containerID@interfaceName.json`; unique, as a container id holds no `@`.
  public var fileName: String { "\(containerID)@\(interfaceName).json" }

  public var description: String { "\(containerID)/\(interfaceName)" }
}

/// The rule for container ids and network names: a letter or digit, then letters, digits, `_`, `.` and `-`.
enum CNIIdentifier {
  static func isValid(_ text: String) -> Bool {
    func isAlphanumeric(_ byte: UInt8) -> Bool { 48...57 ~= byte || 65...90 ~= byte || 97...122 ~= byte }
    guard let first = text.utf8.first, isAlphanumeric(first), text.utf8.count <= 200 else { return false }
    return text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 95 || $0 == 46 || $0 == 45 }
  }

  /// dev_valid_name() of the kernel: 1-15 bytes, not `.` or `..`, no `/`, `:` or white space.
  static func isInterfaceName(_ text: String) -> Bool {
    (1...15).contains(text.utf8.count) && text != "." && text != ".."
      && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F && $0 != 0x3A }
  }
}
