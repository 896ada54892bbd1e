import Addressing
import ArgumentParser
import Host
import Logging
import NodeAPI

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

struct Up: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a whole cluster on this host, in the foreground.",
    discussion: """
      Starts the API server, the runtime of workloads, the agent and the proxy. SIGTERM and SIGINT end it cleanly: workloads \
      end, links, pins, namespaces and cgroups go.

      Example: martlet up --state-dir /tmp/mesh --pod-cidr 10.44.0.0/16,fd44::/64
      """)

  @OptionGroup var instance: InstanceOptions

  @Option(help: "Name of this host's Node (default: its host name).")
  var nodeName: String?

  @Option(help: "Where the API server listens.")
  var apiAddress = "127.0.0.1:6443"

  @Option(name: .customLong("pod-cidr"), help: "Blocks for pods: IPv4,IPv6.")
  var podCIDR = "10.244.0.0/16,fd00:10:244::/64"

  @Option(name: .customLong("service-cidr"), help: "Blocks for services: IPv4,IPv6.")
  var serviceCIDR = "10.96.0.0/16,fd00:10:96::/112"

  @Flag(help: "Leave links and pins in place at the end.")
  var keepDatapath = false

  @Flag(help: "Audit mode: report what policy would drop, and drop nothing by policy.")
  var audit = false

  func run() async throws {
    let api = try endpoint(apiAddress)
    let configuration = HostConfiguration(
      directory: instance.directory, nodeName: try nodeName ?? hostName(), apiAddress: api.address, apiPort: api.port,
      podCIDRs: try blocks(podCIDR, "--pod-cidr"), serviceCIDRs: try blocks(serviceCIDR, "--service-cidr"),
      keepsDatapath: keepDatapath, audit: audit)
    let logger = startLogging("up")
    do {
      let host = try Host(configuration: configuration, logger: logger)
      try await runUntilSignalled { try await host.run() }
    } catch {
      complain("\(error)")
      throw Exit.no
    }
  }

  private func endpoint(_ text: String) throws -> (address: String, port: Int) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
      throw ValidationError("--api-address: \"\(text)\" is not ADDRESS:PORT")
    }
    let address = text[..<colon].trimmingBrackets
    guard IPAddress(address) != nil else { throw ValidationError("--api-address: \"\(address)\" is not an IP address") }
    return (address, Int(port))
  }
}

/// Reads `IPv4,IPv6`.
func blocks(_ text: String, _ option: String) throws -> [CIDR] {
  let blocks = try text.split(separator: ",").map { part in
    guard let block = CIDR(part) else { throw ValidationError("\(option): \"\(part)\" is not a CIDR") }
    return block
  }
  guard blocks.count(where: \.isIPv4) == 1, blocks.count == 2 else {
    throw ValidationError("\(option): one IPv4 and one IPv6 block are needed, as in 10.244.0.0/16,fd00:10:244::/64")
  }
  return blocks.sorted { $0.isIPv4 && !$1.isIPv4 }
}

/// This host's name in the form of a Node's.
func hostName() throws -> String {
  var buffer = [CChar](repeating: 0, count: 256)
  guard gethostname(&buffer, buffer.count) == 0 else { throw ValidationError("give --node-name: the host has no name") }
  return String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).lowercased()
}

extension StringProtocol {
  fileprivate var trimmingBrackets: String {
    hasPrefix("[") && hasSuffix("]") ? String(dropFirst().dropLast()) : String(self)
  }
}
