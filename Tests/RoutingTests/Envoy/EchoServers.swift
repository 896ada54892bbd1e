import Foundation
import Synchronization
import Threads

/// A server for each cluster, which answers with the request's head as it came. Its threads end when Envoy does.
final class EchoServers: Sendable {
  /// What each of them adds to its answers.
  static let headers = ["x-up: one", "x-multi: a", "x-multi: b", "x-num: 7"]

  private let listeners: [Int32]

  init(_ paths: [String]) throws {
    listeners = paths.map { path in
      let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      _ = UnixConnection.withAddress(path) { bind(descriptor, $0, $1) }
      listen(descriptor, 64)
      return descriptor
    }
    for (index, listener) in listeners.enumerated() {
      DetachedThread.start {
        while true {
          let descriptor = accept(listener, nil, nil)
          guard descriptor >= 0 else { return }
          DetachedThread.start { EchoServers.serve(descriptor, index) }
        }
      }
    }
  }

  deinit {
    for listener in listeners {
      shutdown(listener, Int32(SHUT_RDWR))
      close(listener)
    }
  }

  private static func serve(_ descriptor: Int32, _ index: Int) {
    let connection = UnixConnection(descriptor: descriptor)
    let extra = headers.map { $0 + "\r\n" }.joined()
    while let head = try? connection.head() {
      let answer = "HTTP/1.1 200 OK\r\nx-server: \(index)\r\n\(extra)content-length: \(head.count)\r\n\r\n"
      guard (try? connection.write(Array(answer.utf8) + head)) != nil else { return }
    }
  }
}
