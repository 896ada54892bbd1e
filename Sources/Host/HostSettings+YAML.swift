import Addressing
import CNI
import Datapath
import Files
import JSON
import KubernetesAPI
import Services

/// What is wrong with a configuration file, and where.
public struct ConfigurationFileError: Error, Hashable, Sendable, CustomStringConvertible {
  /// `FILE:LINE: FIELD: …`.
  public let description: String
}

extension HostSettings {
  /// Reads a YAML file that says what the flags of `martlet up` say:
  ///
  ///     nodeName: n1
  ///     podCIDR: [10.244.0.0/16, "fd00:10:244::/64"]
  ///     audit: true
  ///     maps: {connections: 500000}
  ///
  /// A field that is not known is an error, as a misspelt one would be overlooked otherwise.
  public static func file(_ path: String) throws(ConfigurationFileError) -> HostSettings {
    let text: [UInt8]
    do throws(FileError) { text = try StateFiles.read(path) } catch {
      throw ConfigurationFileError(description: error.description)
    }
    return try HostSettings(yaml: String(decoding: text, as: UTF8.self), path: path)
  }

  init(yaml: String, path: String) throws(ConfigurationFileError) {
    let documents: [YAMLDocument]
    do { documents = try YAMLDocument.parse(yaml) } catch {
      let line = error.position.map { ":\($0.line)" } ?? ""
      throw ConfigurationFileError(description: "\(path)\(line): \(error.message)")
    }
    guard documents.count <= 1 else {
      throw ConfigurationFileError(description: "\(path): must be one document, has \(documents.count)")
    }
    self.init()
    guard let document = documents.first else { return }
    do throws(FieldError) {
      try read(JSONCursor(document.value))
    } catch {
      throw ConfigurationFileError(description: "\(path):\(document.locations[error.path].line): \(error)")
    }
  }

  private mutating func read(_ root: JSONCursor) throws(FieldError) {
    for (key, cursor) in try root.members() {
      switch key {
      case "stateDir": stateDirectory = try cursor.string()
      case "nodeName": nodeName = try cursor.string()
      case "apiAddress":
        guard let address = ListenAddress(try cursor.string()) else { throw cursor.error("is not ADDRESS:PORT") }
        apiAddress = address
      case "podCIDR": podCIDRs = try HostSettings.blocks(cursor)
      case "serviceCIDR": serviceCIDRs = try HostSettings.blocks(cursor)
      case "serviceNodePortRange":
        nodePorts = try HostSettings.portRange(cursor)
      case "loadBalancerCIDR": loadBalancerCIDRs = try HostSettings.anyBlocks(cursor)
      case "masquerade": masquerades = try cursor.bool()
      case "nativeCIDR": nativeCIDRs = try HostSettings.anyBlocks(cursor)
      case "natPortRange": natPorts = try HostSettings.portRange(cursor)
      case "loadBalancerMode": loadBalancerMode = try HostSettings.word(cursor)
      case "loadBalancerAcceleration": acceleration = try HostSettings.word(cursor)
      case "maglevTableSize":
        guard let size = MaglevTable.sizes.first(where: { Int64($0) == (try? cursor.integer()) }) else {
          throw cursor.error("is none of \(MaglevTable.sizes)")
        }
        maglevSize = size
      case "keepDatapath": keepsDatapath = try cursor.bool()
      case "audit": audit = try cursor.bool()
      case "devices":
        var names: [String] = []
        for element in try cursor.elements() { names.append(try element.string()) }
        devices = names
      case "otlpEndpoint": otlpEndpoint = try cursor.string()
      case "traceSampling":
        switch cursor.value {
        case .integer(let percent): traceSampling = Double(percent)
        case .number(let percent): traceSampling = percent
        default: throw cursor.error("must be a number, is \(cursor.value.typeName)")
        }
      case "maps": mapSizes = try HostSettings.sizes(cursor)
      default: throw cursor.error("unknown field")
      }
    }
  }

  private static func word<Word: RawRepresentable & CaseIterable>(
    _ cursor: JSONCursor
  ) throws(FieldError) -> Word where Word.RawValue == String {
    guard let word = Word(rawValue: try cursor.string()) else {
      throw cursor.error("is none of \(Word.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return word
  }

  /// `[IPv4, IPv6]`, or the flag's `IPv4,IPv6`.
  private static func blocks(_ cursor: JSONCursor) throws(FieldError) -> [CIDR] {
    guard let blocks = HostSettings.blocks(try texts(cursor)) else {
      throw cursor.error("one IPv4 and one IPv6 block are needed, as in [10.244.0.0/16, \"fd00:10:244::/64\"]")
    }
    return blocks
  }

  private static func anyBlocks(_ cursor: JSONCursor) throws(FieldError) -> [CIDR] {
    guard let blocks = anyBlocks(try texts(cursor)) else {
      throw cursor.error("blocks are needed, as in [192.0.2.0/24, \"2001:db8::/64\"]")
    }
    return blocks
  }

  private static func portRange(_ cursor: JSONCursor) throws(FieldError) -> ClosedRange<UInt16> {
    guard let range = portRange(try cursor.string()) else { throw cursor.error("is not FIRST-LAST") }
    return range
  }

  private static func texts(_ cursor: JSONCursor) throws(FieldError) -> [String] {
    if let text = cursor.value.stringValue { return text.split(separator: ",").map(String.init) }
    var texts: [String] = []
    for element in try cursor.elements() { texts.append(try element.string()) }
    return texts
  }

  private static func sizes(_ cursor: JSONCursor) throws(FieldError) -> MapSizes {
    var sizes = MapSizes()
    for (key, cursor) in try cursor.members() {
      guard let map = SizedMap(rawValue: key) else {
        let known = SizedMap.allCases.map(\.rawValue).joined(separator: ", ")
        throw cursor.error("unknown map; there are \(known)")
      }
      let size = try cursor.integer()
      if let problem = map.problem(size: size) { throw cursor.error(problem) }
      sizes.sizes[map] = UInt32(clamping: size)
    }
    return sizes
  }
}
