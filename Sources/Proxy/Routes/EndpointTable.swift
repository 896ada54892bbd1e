import Addressing
import JSON

/// The endpoints of service clusters: `DIR/proxy/endpoints.json`.
///
///     {"generation": 12, "clusters": {"default/reviews:9080": [{"address": "10.0.0.1", "port": 9080}]}}
public struct EndpointTable: Sendable {
  public let generation: Int64
  private let clusters: [String: [ClusterSpecification.Seat]]
  /// The clusters of each service, by `namespace/name`.
  private let names: [String: [String]]

  public static let empty = EndpointTable(generation: 0, clusters: [:])

  private init(generation: Int64, clusters: [String: [ClusterSpecification.Seat]]) {
    self.generation = generation
    self.clusters = clusters
    names = Dictionary(
      grouping: clusters.keys.sorted(), by: { String($0.prefix { $0 != ":" }) })
  }

  /// Decodes the file's text.
  public init(_ content: [UInt8]) throws(RouteFileError) {
    let document: JSONValue
    do throws(JSONError) { document = try JSONValue(parsing: content) } catch { throw RouteFileError("\(error)") }
    do throws(FieldError) {
      let root = JSONCursor(document)
      var clusters: [String: [ClusterSpecification.Seat]] = [:]
      for (name, list) in try root.required("clusters").members() {
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
        clusters[name] = seats
      }
      self.init(generation: try root.required("generation").integer(), clusters: clusters)
    } catch {
      throw RouteFileError("\(error)")
    }
  }

  /// nil for a service that is not there.
  func seats(_ name: String) -> [ClusterSpecification.Seat]? { clusters[name] }

  /// The clusters of a service: `namespace/name`, and that with its ports.
  func names(of service: String) -> [String] { names[service] ?? [] }
}

/// Why a file that the agent wrote is not usable, and where.
public struct RouteFileError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  init(_ description: String) { self.description = description }
}
