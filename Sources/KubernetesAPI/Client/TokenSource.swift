import Files
import Synchronization

/// The bearer token, read again from its file once a minute since service account tokens expire.
final class TokenSource: Sendable {
  private struct State {
    var token: String?
    var readAt: ContinuousClock.Instant?
  }

  private let path: String?
  private let state: Mutex<State>

  init(fixed token: String) {
    path = nil
    state = Mutex(State(token: token))
  }

  init(path: String) {
    self.path = path
    state = Mutex(State())
  }

  func token() throws(KubernetesError) -> String {
    let result = state.withLock { state -> Result<String, KubernetesError> in
      if let token = state.token, path == nil || state.readAt.map({ .now - $0 < .seconds(60) }) ?? false {
        return .success(token)
      }
      do throws(FileError) {
        let bytes = try StateFiles.read(path ?? "")
        let token = String(decoding: bytes, as: UTF8.self).filter { !$0.isWhitespace }
        state = State(token: token, readAt: .now)
        return .success(token)
      } catch {
        // The old token may still be good while the file is being replaced.
        return state.token.map { .success($0) } ?? .failure(.transport(error.description))
      }
    }
    return try result.get()
  }
}
