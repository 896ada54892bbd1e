import CLinux
import Files
import Glibc
import JSON
import Logging
import TestSupport
import Testing

@testable import Host

/// What `martlet up` is asked by its socket.
@Suite struct HostControlTests {
  private func with(_ body: (StateDirectory) throws -> Void) throws {
    let path = try TemporaryDirectory.make("control")
    defer { TemporaryDirectory.remove(path) }
    let directory = StateDirectory(path)
    try directory.create()
    let control = try HostControl(
      path: directory.hostSocket, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { request in
      request.drain == .seconds(1) ? .failed("it is too late") : .replaced(old: 1, new: 2)
    }
    control.start()
    defer { control.stop() }
    try body(directory)
  }

  @Test func `a restart is answered`() throws {
    try with { directory in
      let (old, new) = try HostClient(directory).restartProxy(drain: .seconds(600))
      #expect(old == 1 && new == 2)
      let error = #expect(throws: HostError.self) { _ = try HostClient(directory).restartProxy(drain: .seconds(1)) }
      #expect(error?.description == "it is too late")
      var status = stat()
      #expect(stat(directory.hostSocket, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }
  }

  @Test(arguments: [
    ("{", "invalid JSON"), (#"{"restart": "agent", "drainSeconds": 1}"#, "restart: only the proxy can be restarted"),
    (#"{"restart": "proxy"}"#, "drainSeconds"), (#"{"restart": "proxy", "drainSeconds": -1}"#, "drainSeconds"),
  ])
  func `anything else is refused`(_ text: String, _ reason: String) throws {
    try with { directory in
      let fd = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
      defer { close(fd) }
      #expect(clinux_connect_unix(fd, directory.hostSocket) == 0)
      #expect(send(fd, text, text.utf8.count, 0) == text.utf8.count)
      let answer = try JSONValue(parsing: HostMessage.receive(fd, within: .seconds(10)))
      let told = try #require(answer["error"]?.stringValue)
      #expect(told.contains(reason), "\(told)")
    }
  }

  @Test func `without up there is a clear word`() throws {
    let path = try TemporaryDirectory.make("control")
    defer { TemporaryDirectory.remove(path) }
    let error = #expect(throws: HostError.self) {
      _ = try HostClient(StateDirectory(path)).restartProxy(drain: .seconds(1))
    }
    #expect(error?.description == "no `martlet up` runs with \(path)")
  }
}
