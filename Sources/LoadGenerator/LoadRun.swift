import Threads

/// Runs a load and waits for its result.
///
///     var options = LoadOptions(target: try LoadTarget(url: "http://10.0.0.2:8080/"), traffic: .http(method: "GET", headers: [], body: []))
///     options.rate = 1000
///     let result = try await LoadRun(options).run()
public struct LoadRun: Sendable {
  public let options: LoadOptions

  public init(_ options: LoadOptions) throws(LoadError) {
    try options.validate()
    var options = options
    options.threads = min(options.threads, options.connections)
    self.options = options
  }

  public func run() async throws -> LoadResult {
    try await withThrowingTaskGroup(of: Result<LoadResult, LoadError>.self) { group in
      for share in 0..<options.threads {
        group.addTask {
          await DetachedThread.run {
            Result { () throws(LoadError) in try LoadWorker(options, share: share).run() }
          }
        }
      }
      var whole = LoadResult()
      for try await part in group { whole.merge(try part.get()) }
      return whole
    }
  }
}
