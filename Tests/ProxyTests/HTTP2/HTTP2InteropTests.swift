import Addressing
import Foundation
import ProxyRules
import TestSupport
import Testing

@testable import Proxy

/// Programs of nghttp2 and curl, found in PATH.
private enum Peer {
  static func path(_ name: String) -> String? {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin"].map { "\($0)/\(name)" }.first {
      FileManager.default.isExecutableFile(atPath: $0)
    }
  }

  static let areInstalled = ["nghttpd", "nghttp", "h2load", "curl"].allSatisfy { path($0) != nil }

  static func start(_ arguments: [String]) throws -> (process: Process, output: Pipe) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: path(arguments[0]) ?? arguments[0])
    process.arguments = Array(arguments.dropFirst())
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    process.standardInput = FileHandle.nullDevice
    try process.run()
    return (process, output)
  }

  static func run(_ arguments: String...) throws -> String {
    let (process, output) = try start(arguments)
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return String(decoding: data, as: UTF8.self)
  }
}

extension LoopbackTests {
  /// Against an implementation that is not ours, at both ends.
  @Suite(.serialized, .enabled(if: Peer.areInstalled, "nghttp2-client, nghttp2-server and curl are not installed"))
  struct HTTP2InteropTests {
    /// nghttpd with a small file, a large one, and trailers.
    final class Server {
      let address: SocketAddress
      private let process: Process
      private let folder: TemporaryDirectory

      init(_ host: String) throws {
        let folder = try TemporaryDirectory("htdocs")
        for (name, count) in [("ok", 1000), ("ok-large", 20_000_000)] {
          try Data(repeating: 0x61, count: count).write(to: URL(fileURLWithPath: "\(folder.path)/\(name)"))
        }
        // A port that was free a moment ago.
        let probe = try Listener(SocketAddress(IPAddress(host)!, port: 0))
        address = probe.address
        close(probe.fd)
        (process, _) = try Peer.start([
          "nghttpd", "--no-tls", "-a", host, "-d", folder.path, "--trailer", "x-end: 1", "\(address.port)",
        ])
        self.folder = folder
        for _ in 0..<200 {
          let fd = Proxy.Socket.tcp(family: address.address.isIPv4 ? AF_INET : AF_INET6)
          defer { close(fd) }
          _ = fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK)
          if Proxy.Socket.connect(fd, address) == 0 { return }
          usleep(10000)
        }
      }

      deinit {
        // Threads that run tests block SIGTERM, and a child inherits that.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
      }
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `curl`(_ host: String) async throws {
      let server = try Server(host)
      let proxy = try TestProxy(server.address, host: host)
      let base = "http://\(proxy.address)"
      let small = try Peer.run(
        "curl", "-s", "--http2-prior-knowledge", "-w", " %{http_code} %{http_version}", base + "/ok")
      #expect(small == String(repeating: "a", count: 1000) + " 200 2")
      let denied = try Peer.run("curl", "-s", "--http2-prior-knowledge", "-w", "%{http_code}", base + "/no")
      #expect(denied == "Access denied\r\n403")
      let large = try Peer.run(
        "curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", "-w", "%{size_download}", base + "/ok-large")
      #expect(large == "20000000")
      // A body of many windows, to a server that drops it.
      let upload = try TemporaryDirectory("upload")
      let file = "\(upload.path)/body"
      try Data(repeating: 0x62, count: 5_000_000).write(to: URL(fileURLWithPath: file))
      let sent = try Peer.run(
        "curl", "-s", "--http2-prior-knowledge", "--data-binary", "@\(file)", "-o", "/dev/null", "-w",
        "%{http_code} %{size_upload}", base + "/ok")
      #expect(sent == "200 5000000")
      let records = await proxy.records.wait(4)
      #expect(records.map(\.status) == [200, 403, 200, 200] && records.allSatisfy { $0.isHTTP2 && !$0.isAborted })
      await proxy.stop()
    }

    @Test func `nghttp sees trailers, and pads`() async throws {
      let server = try Server("127.0.0.1")
      let proxy = try TestProxy(server.address)
      let output = try Peer.run(
        "nghttp", "-v", "--no-dep", "-b", "64", "-m", "5", "http://\(proxy.address)/ok")
      #expect(output.components(separatedBy: "x-end: 1").count == 6)
      #expect(output.contains(":status: 200") && !output.contains("RST_STREAM") && !output.contains("[ERROR]"))
      await proxy.stop()
    }

    /// Both sides of a routed connection, with bodies of many windows.
    @Test(arguments: ["127.0.0.1", "::1"]) func `routes between curl, h2load and nghttpd`(_ host: String) async throws {
      let server = try Server(host)
      let proxy = try RoutedHTTP2UpstreamTests.proxy([server.address], host: host)
      let base = "http://\(proxy.address)"
      let upload = try TemporaryDirectory("upload")
      let file = "\(upload.path)/body"
      try Data(repeating: 0x62, count: 5_000_000).write(to: URL(fileURLWithPath: file))
      for version in ["--http2-prior-knowledge", "--http1.1"] {
        let large = try Peer.run(
          "curl", "-gs", version, "-o", "/dev/null", "-w", "%{http_code} %{size_download}", base + "/ok-large")
        #expect(large == "200 20000000")
        let sent = try Peer.run(
          "curl", "-gs", version, "-H", "expect:", "--data-binary", "@\(file)", "-o", "/dev/null", "-w",
          "%{http_code} %{size_upload}", base + "/ok")
        #expect(sent == "200 5000000")
      }
      let output = try Peer.run("h2load", "-n", "5000", "-c", "10", "-m", "50", base + "/ok")
      let counts = "5000 total, 5000 started, 5000 done, 5000 succeeded, 0 failed, 0 errored"
      #expect(output.contains(counts), "\(output)")
      let records = await proxy.records.wait(5004)
      #expect(records.count == 5004 && records.allSatisfy { $0.status == 200 && !$0.isAborted })
      await proxy.stop()
    }

    @Test(arguments: ["127.0.0.1", "::1"]) func `h2load`(_ host: String) async throws {
      let server = try Server(host)
      let proxy = try TestProxy(server.address, host: host)
      for (path, failed) in [("/ok", 0), ("/no", 5000)] {
        let output = try Peer.run(
          "h2load", "-n", "5000", "-c", "10", "-m", "50", "http://\(proxy.address)\(path)")
        let counts = "5000 total, 5000 started, 5000 done, \(5000 - failed) succeeded, \(failed) failed, 0 errored"
        #expect(output.contains(counts), "\(output)")
      }
      #expect(proxy.server.statistics.upstreamConnections == 10)
      #expect(await proxy.records.wait(10000).count == 10000)
      await proxy.stop()
    }
  }
}
