import Files

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Puts a new proxy in the place of the one that runs.
struct ProxyReplacement: Sendable {
  private let proxy: ChildProcess
  private let files: ProxyFiles

  /// For the new proxy to load its rules and routes, and to serve.
  static let limit = Duration.seconds(60)

  init(_ proxy: ChildProcess, files: ProxyFiles) {
    self.proxy = proxy
    self.files = files
  }

  func answer(_ request: HostRequest) async -> HostAnswer {
    do {
      let replaced = try await proxy.replace(
        further: ["--predecessor-drain", "\(request.drain.components.seconds)s"], within: ProxyReplacement.limit
      ) { [files] pid in ProxyReplacement.serving(files) == pid }
      return .replaced(old: replaced.old, new: replaced.new)
    } catch {
      return .failed("\(error)")
    }
  }

  /// The proxy that takes new connections, by its own word.
  private static func serving(_ files: ProxyFiles) -> pid_t? {
    guard let content = try? StateFiles.readIfPresent(files.serving) else { return nil }
    return pid_t(String(decoding: content, as: UTF8.self).filter(\.isNumber))
  }
}
