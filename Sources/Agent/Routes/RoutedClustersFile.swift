import Files
import JSON
import Logging

/// Tells the proxy who answers for the clusters of its routes, in a file that is replaced whole.
struct RoutedClustersFile {
  private let files: ProxyFiles
  private let logger: Logger
  private var generation: UInt64
  /// What is written; nil when that is not known.
  private var current: RoutedClusters?
  /// Why the proxy can not be told.
  private(set) var problem: String?

  init(_ files: ProxyFiles, logger: Logger) {
    self.files = files
    self.logger = logger
    let document = (try? StateFiles.read(files.endpoints)).flatMap { try? JSONValue(parsing: $0) }
    generation = document?["generation"]?.integerValue.flatMap(UInt64.init(exactly:)) ?? 0
  }

  mutating func write(_ clusters: RoutedClusters) {
    guard clusters != current else { return }
    generation += 1
    do {
      try StateFiles.write(clusters.json(generation: generation).serialized(), to: files.endpoints)
      current = clusters
      problem = nil
    } catch {
      current = nil
      problem = "the proxy is not told the endpoints of its routes: \(error)"
      logger.error("the proxy is not told the endpoints of its routes: \(error)")
    }
  }
}
