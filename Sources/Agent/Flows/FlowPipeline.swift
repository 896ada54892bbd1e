import Addressing
import Clocks
import Datapath
import Flows
import Logging
import Proxy

/// Turns what the kernel and the proxy report into flows.
struct FlowPipeline: Sendable {
  let ring: FlowRing
  let directory: NodeDirectory
  let traffic: ServiceTraffic
  let audit: AuditWatch
  let nodeName: String
  let logger: Logger

  /// Reads the kernel's events until the task is cancelled.
  func readKernel(_ datapath: Datapath) async {
    let bootTime = Timestamp.bootTime()
    while !Task.isCancelled {
      do {
        for try await batch in try datapath.eventBatches() {
          var flows = FlowBatch(bootTime: bootTime, resolver: directory, nodeName: nodeName)
          let made = batch.map { flows.flow($0) }
          traffic.count(made)
          ring.append(audit.connections(made))
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
    var ruleSet: UInt32
    var service: UInt32
    var isEgress: Bool
    var isDenied: Bool
    var isAudited = false
    /// Of a routed request to a backend that the datapath denies; else 0.
    var dropReason: UInt8 = 0
    var ipProtocol = TransportProtocol.tcp

    init(_ record: AccessRecord) {
      dropReason = UInt8(truncatingIfNeeded: record.dropReason)
      (client, server) = (record.client.address, record.server)
      (source, destination) = (record.sourceIdentity, record.destinationIdentity)
      (rule, ruleSet, isEgress) = (record.rule, record.proxyRules, record.isEgress)
      service = record.service
      (isDenied, isAudited) = (record.isDenied, record.isAudited)
    }

    init(_ record: TLSAccessRecord) {
      (client, server) = (record.client.address, record.server)
      (source, destination) = (record.sourceIdentity, record.destinationIdentity)
      (rule, ruleSet, isEgress) = (record.rule, record.proxyRules, record.isEgress)
      service = record.service
      (isDenied, isAudited) = (record.isDenied, record.isAudited)
    }

    init(_ record: DNSRecord) {
      (client, server) = (record.client.address, record.server)
      (source, destination) = (record.sourceIdentity, record.destinationIdentity)
      (rule, ruleSet, isEgress) = (record.rule, record.proxyRules, true)
      service = record.service
      (isDenied, isAudited) = (record.isDenied, record.isAudited)
      ipProtocol = record.isTCP ? .tcp : .udp
    }
  }

  func append(_ records: [ProxyRecord]) {
    // Names do not change within a batch, so they are looked up once.
    var known: [Common: Flow] = [:]
    func flow(_ key: Common, _ time: UInt64, _ client: SocketAddress) -> Flow {
      var flow = known[key] ?? self.flow(key)
      known[key] = flow
      flow.time = time
      flow.source.port = client.port
      return flow
    }
    let made = records.map { record in
      switch record {
      case .http(let record):
        var flow = flow(Common(record), record.time, record.client)
        flow.http = Flow.HTTP(record)
        flow.traceID = record.traceID.isNone ? "" : record.traceID.text
        if !record.failure.isEmpty { flow.verdict = .error }
        return flow
      case .dns(let record):
        var flow = flow(Common(record), record.time, record.client)
        flow.dns = Flow.DNS(record)
        return flow
      case .tls(let record):
        var flow = flow(Common(record), record.time, record.client)
        flow.serverName = record.name
        return flow
      }
    }
    ring.append(audit.requests(made))
  }

  private func flow(_ common: Common) -> Flow {
    var flow = Flow(
      time: 0, verdict: common.isDenied ? .dropped : common.isAudited ? .audit : .forwarded,
      direction: common.isEgress ? .egress : .ingress, source: end(common.client, common.source),
      destination: end(common.server.address, common.destination), ipProtocol: common.ipProtocol.rawValue)
    flow.destination.port = common.server.port
    if common.isDenied || common.isAudited { flow.dropReason = DropReason.policyDenied }
    if common.dropReason != 0 {
      flow.dropReason = common.dropReason
      let author = directory.author(rule: common.rule).map { [$0] } ?? []
      if common.isEgress { flow.egressDeniedBy = author } else { flow.ingressDeniedBy = author }
      flow.citeClosing(directory)
    } else {
      cite(common.rule, &flow)
      if common.isDenied || common.isAudited { flow.deniedByDefaultOf = directory.authors(ruleSet: common.ruleSet) }
    }
    if common.service != 0 { flow.service = directory.service(number: common.service) }
    flow.nodeName = nodeName
    return flow
  }

  private func end(_ address: IPAddress, _ identity: UInt32) -> Flow.Endpoint {
    var end = Flow.Endpoint(address: address)
    end.identity = identity
    end.labels = directory.labels(identity: identity)
    if let owner = directory.owner(address: address) { (end.namespace, end.pod) = owner }
    return end
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
}

extension Flow.HTTP {
  fileprivate init(_ record: AccessRecord) {
    self.init(
      code: UInt32(record.status), method: record.method, url: "http://\(record.host)\(record.path)",
      version: record.isHTTP2 ? "HTTP/2" : "HTTP/1.1", latency: record.latency,
      mismatches: record.mismatches == 0 ? [] : (0..<16).filter { record.mismatches & 1 << $0 != 0 },
      failure: record.failure, route: record.route, cluster: record.cluster)
  }
}

extension Flow.DNS {
  fileprivate init(_ record: DNSRecord) {
    self.init(
      query: record.name + ".", type: DNSRecordType.name(record.type), addresses: record.addresses,
      aliases: record.aliases, timeToLive: record.timeToLive, responseCode: record.responseCode.map(UInt32.init),
      latency: record.latency)
  }
}
