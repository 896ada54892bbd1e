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
          ring.append(batch.map { Flow($0, bootTime: bootTime, resolver: directory, nodeName: nodeName) })
        }
      } catch is CancellationError {
        return
      } catch {
        logger.error("the kernel's events can not be read, trying again: \(error)")
        try? await Task.sleep(for: .seconds(1))
      }
    }
  }

  func append(_ records: [ProxyRecord]) {
    ring.append(
      records.map { record in
        switch record {
        case .http(let record): flow(record)
        case .dns(let record): flow(record)
        case .tls(let record): flow(record)
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

  private func flow(_ record: AccessRecord) -> Flow {
    var flow = Flow(
      time: record.time, verdict: record.isDenied ? .dropped : record.isAudited ? .audit : .forwarded,
      direction: record.isEgress ? .egress : .ingress,
      source: end(record.client, record.sourceIdentity), destination: end(record.server, record.destinationIdentity),
      ipProtocol: TransportProtocol.tcp.rawValue)
    if record.isDenied || record.isAudited { flow.dropReason = UInt8(MARTLET_DROP_POLICY_DENIED.rawValue) }
    cite(record.rule, &flow)
    flow.http = Flow.HTTP(
      code: UInt32(record.status), method: record.method, url: "http://\(record.host)\(record.path)",
      version: "HTTP/1.1", latency: record.latency,
      mismatches: (0..<16).filter { record.mismatches & 1 << $0 != 0 })
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
