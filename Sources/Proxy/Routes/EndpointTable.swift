import Addressing
import JSON
import Routing

/// The endpoints of service clusters: `DIR/proxy/endpoints.json`.
///
///     {"generation": 12, "clusters": {"default/reviews:9080": [{"address": "10.0.0.1", "port": 9080}]}}
///
/// `"http2": ["default/reviews:9080"]` beside them names those to whom HTTP/2 is spoken.
public struct EndpointTable: Sendable {
  public let generation: Int64
  private let clusters: [String: [ClusterSpecification.Seat]]
  private let http2: Set<String>
  /// The clusters of each service, by `namespace/name`.
  private let names: [String: [String]]
  private let text: [UInt8]
  /// Where each cluster's endpoints are written.
  private let ranges: [String: Range<Int>]

  public static let empty = EndpointTable()

  private init() {
    generation = 0
    clusters = [:]
    http2 = []
    names = [:]
    text = []
    ranges = [:]
  }

  /// Decodes the file's text. Throws for what is not JSON, and for a field that is not as it must be, by its path.
  ///
  /// - Parameter previous: The table until now; clusters whose text is the same are not decoded again.
  public init(_ content: [UInt8], reusing previous: EndpointTable = .empty) throws(RouteFileError) {
    var number: Int64?
    var lists: [String: [ClusterSpecification.Seat]]?
    var http2: Set<String> = []
    var ranges: [String: Range<Int>] = [:]
    for member in try EndpointTable.members(content, content.indices) {
      switch member.key {
      case "generation": number = try EndpointTable.value(content, member).integerValue
      case "clusters":
        var found: [String: [ClusterSpecification.Seat]] = [:]
        for cluster in try EndpointTable.members(content, member.range) {
          ranges[cluster.key] = cluster.range
          found[cluster.key] = try EndpointTable.seats(content, cluster, reusing: previous)
        }
        lists = found
      case "http2":
        for name in try EndpointTable.value(content, member).arrayValue ?? [] {
          guard let text = name.stringValue else { throw RouteFileError("http2: must hold strings") }
          http2.insert(text)
        }
      default: break
      }
    }
    guard let number else { throw RouteFileError("generation: must be an integer") }
    guard let lists else { throw RouteFileError("clusters: required") }
    generation = number
    clusters = lists
    self.http2 = http2
    self.ranges = ranges
    text = content
    names = Dictionary(grouping: lists.keys.sorted(), by: { String($0.prefix { $0 != ":" }) })
  }

  private static func members(
    _ content: [UInt8], _ range: Range<Int>
  ) throws(RouteFileError) -> [JSONOutline.Member] {
    do throws(JSONError) {
      return try JSONOutline.members(content, in: range)
    } catch {
      throw RouteFileError("\(error)")
    }
  }

  private static func value(_ content: [UInt8], _ member: JSONOutline.Member) throws(RouteFileError) -> JSONValue {
    do throws(JSONError) {
      return try JSONValue(parsing: content[member.range])
    } catch {
      throw RouteFileError("\(member.key): \(error)")
    }
  }

  private static func seats(
    _ content: [UInt8], _ cluster: JSONOutline.Member, reusing previous: EndpointTable
  ) throws(RouteFileError) -> [ClusterSpecification.Seat] {
    if let known = previous.clusters[cluster.key], let range = previous.ranges[cluster.key],
      previous.text[range] == content[cluster.range]
    {
      return known
    }
    let list = JSONCursor(try value(content, cluster), path: "clusters[\(cluster.key)]")
    do throws(FieldError) {
      var seats: [ClusterSpecification.Seat] = []
      for element in try list.elements() {
        let address = try element.required("address")
        let port = try element.required("port")
        guard let parsed = IPAddress(try address.string()) else { throw address.error("is no IP address") }
        guard let number = UInt16(exactly: try port.integer()), number > 0 else {
          throw port.error("must be from 1 to 65535")
        }
        seats.append(.init(address: SocketAddress(parsed, port: number), hostname: "", weight: 1))
      }
      return seats
    } catch {
      throw RouteFileError("\(error)")
    }
  }

  /// nil for a service that is not there.
  func seats(_ name: String) -> [ClusterSpecification.Seat]? { clusters[name] }

  func version(_ name: String) -> Cluster.Version { http2.contains(name) ? .http2 : .http1 }

  /// The clusters of a service: `namespace/name`, and that with its ports.
  func names(of service: String) -> [String] { names[service] ?? [] }

  /// The clusters that are not what they were.
  func changes(since previous: EndpointTable) -> Set<String> {
    var changes = Set(previous.clusters.keys.filter { clusters[$0] == nil })
    for (name, seats) in clusters where previous.clusters[name] != seats { changes.insert(name) }
    return changes.union(http2.symmetricDifference(previous.http2))
  }
}

/// Why a file that the agent wrote is not usable, and where.
public struct RouteFileError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
