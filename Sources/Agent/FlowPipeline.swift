import Addressing
import CMartletABI
import Datapath
import Flows
import Logging
import Proxy

/// Turns what the kernel and the proxy report into flows.
struct FlowPipeline: Sendable {
  let ring: FlowRing
  let directory: NodeDirectory
  let nodeName: String
  let logger: Logger

  /// Reads the kernel's events until the task is cancelled.
  func readKernel(_ datapath: Datapath) async {
    let bootTime = Timestamp.bootTime()
    while !Task.isCancelled {
      do {
        for try await batch in try datapath.eventBatches() {
          var flows = FlowBatch(bootTime: bootTime, resolver: directory, nodeName: nodeName)
          ring.append(batch.map { flows.flow($0) })
        }
      } catch is CancellationError {
        return
      } catch {
        logger.error("the kernel's events can not be read, trying again: \(error)")
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  /// What the flows of records between the same ends by the same rule have in common.
  private struct Common: Hashable {
    var client: IPAddress
    var server: SocketAddress
    var source: UInt32
    var destination: UInt32
    var rule: UInt32
    var isDenied: Bool
    var isAudited: Bool
    var isEgress: Bool
  }

  func append(_ records: [ProxyRecord]) {
    // Names do not change within a batch, so they are looked up once.
    var known: [Common: Flow] = [:]
    func flow(_ record: AccessRecord) -> Flow {
      let key = Common(
        client: record.client.address, server: record.server, source: record.sourceIdentity,
        destination: record.destinationIdentity, rule: record.rule, isDenied: record.isDenied,
        isAudited: record.isAudited, isEgress: record.isEgress)
      var flow: Flow
      if let found = known[key] {
        flow = found
      } else {
        flow = common(record)
        known[key] = flow
      }
      flow.time = record.time
      flow.source.port = record.client.port
      flow.http = Flow.HTTP(
        code: UInt32(record.status), method: record.method, url: "http://\(record.host)\(record.path)",
        version: "HTTP/1.1", latency: record.latency,
        mismatches: (0..<16).filter { record.mismatches & 1 << $0 != 0 })
      return flow
    }
    ring.append(
      records.map { record in
        switch record {
        case .http(let record): flow(record)
        case .dns(let record): self.flow(record)
        case .tls(let record): self.flow(record)
        }
      })
  }

  private func end(_ socket: SocketAddress, _ identity: UInt32) -> Flow.Endpoint {
    var end = Flow.Endpoint(address: socket.address)
    end.port = socket.port
    end.identity = identity
    end.labels = directory.labels(identity: identity)
    if let owner = directory.owner(address: socket.address) { (end.namespace, end.pod) = owner }
    return end
  }

  private func common(_ record: AccessRecord) -> Flow {
    var flow = Flow(
      time: record.time, verdict: record.isDenied ? .dropped : record.isAudited ? .audit : .forwarded,
      direction: record.isEgress ? .egress : .ingress,
      source: end(record.client, record.sourceIdentity), destination: end(record.server, record.destinationIdentity),
      ipProtocol: TransportProtocol.tcp.rawValue)
    if record.isDenied || record.isAudited { flow.dropReason = UInt8(MARTLET_DROP_POLICY_DENIED.rawValue) }
    cite(record.rule, &flow)
    flow.nodeName = nodeName
    return flow
  }

  private func flow(_ record: TLSAccessRecord) -> Flow {
    var flow = Flow(
      time: record.time, verdict: record.isDenied ? .dropped : record.isAudited ? .audit : .forwarded,
      direction: record.isEgress ? .egress : .ingress,
      source: end(record.client, record.sourceIdentity), destination: end(record.server, record.destinationIdentity),
      ipProtocol: TransportProtocol.tcp.rawValue)
    if record.isDenied || record.isAudited { flow.dropReason = UInt8(MARTLET_DROP_POLICY_DENIED.rawValue) }
    cite(record.rule, &flow)
    flow.serverName = record.name
    flow.nodeName = nodeName
    return flow
  }

  /// Names the rule that allowed, and the side that it is about.
  private func cite(_ rule: UInt32, _ flow: inout Flow) {
    guard let author = directory.author(rule: rule) else { return }
    if author.rule.contains(".egress[") {
      flow.direction = .egress
      flow.egressAllowedBy = [author]
    } else {
      flow.ingressAllowedBy = [author]
    }
  }

  private func flow(_ record: DNSRecord) -> Flow {
    var flow = Flow(
      time: record.time, verdict: record.isDenied ? .dropped : .forwarded, direction: .egress,
      source: end(record.client, record.sourceIdentity), destination: end(record.server, record.destinationIdentity),
      ipProtocol: (record.isTCP ? TransportProtocol.tcp : .udp).rawValue)
    if record.isDenied { flow.dropReason = UInt8(MARTLET_DROP_POLICY_DENIED.rawValue) }
    if let author = directory.author(rule: record.rule) { flow.egressAllowedBy = [author] }
    flow.dns = Flow.DNS(
      query: record.name + ".", type: DNSRecordType.name(record.type), addresses: record.addresses,
      aliases: record.aliases, timeToLive: record.timeToLive, responseCode: record.responseCode.map(UInt32.init),
      latency: record.latency)
    flow.nodeName = nodeName
    return flow
  }
}
