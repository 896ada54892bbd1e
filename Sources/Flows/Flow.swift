import Addressing

/// What was seen of one packet or request, and what was decided: the value that observers, metrics and stores share.
/// Names and numbers are Hubble's (`flow.Flow`).
public struct Flow: Hashable, Sendable {
  public enum Verdict: String, Hashable, Sendable, CaseIterable {
    case forwarded = "FORWARDED"
    case dropped = "DROPPED"
    case error = "ERROR"
    case audit = "AUDIT"
    case redirected = "REDIRECTED"
  }

  public enum Direction: String, Hashable, Sendable {
    case ingress = "INGRESS"
    case egress = "EGRESS"
  }

  /// One end of the flow.
  public struct Endpoint: Hashable, Sendable {
    /// The endpoint id on this node; 0 when it is not a pod of this node.
    public var id: UInt32 = 0
    public var identity: UInt32 = 0
    public var namespace = ""
    public var pod = ""
    public var labels: [String] = []
    public var address: IPAddress
    /// 0 where the protocol has no ports.
    public var port: UInt16 = 0

    public init(address: IPAddress) { self.address = address }
  }

  /// The object and the rule in it that decided.
  public struct PolicyReference: Hashable, Sendable {
    public var kind: String
    public var namespace: String
    public var name: String
    /// The field path of the rule: `spec.ingress[0].toPorts[0]`.
    public var rule: String
    /// The rule's `log.value`; empty where it has none.
    public var log: String

    public init(kind: String, namespace: String, name: String, rule: String, log: String = "") {
      self.kind = kind
      self.namespace = namespace
      self.name = name
      self.rule = rule
      self.log = log
    }
  }

  /// The Service by which a client reached its server.
  public struct Service: Hashable, Sendable {
    public var namespace: String
    public var name: String
    /// The Service's own, not the backend's.
    public var port: UInt16

    public init(namespace: String, name: String, port: UInt16) {
      self.namespace = namespace
      self.name = name
      self.port = port
    }
  }

  public struct HTTP: Hashable, Sendable {
    /// 0 in a record of a request that was not answered.
    public var code: UInt32
    public var method: String
    public var url: String
    public var version: String
    /// Time from the request's first byte to the answer's last, in nanoseconds.
    public var latency: UInt64
    /// The places in the rule's `headerMatches` of those that the request was not as.
    public var mismatches: [Int]
    /// Why the proxy itself answered with an error; empty when it did not.
    public var failure: String
    /// The route that the request took, and the cluster that this led to; empty where it was not routed.
    public var route = ""
    public var cluster = ""

    public init(
      code: UInt32, method: String, url: String, version: String, latency: UInt64, mismatches: [Int] = [],
      failure: String = "", route: String = "", cluster: String = ""
    ) {
      self.route = route
      self.cluster = cluster
      self.mismatches = mismatches
      self.failure = failure
      self.code = code
      self.method = method
      self.url = url
      self.version = version
      self.latency = latency
    }
  }

  public struct DNS: Hashable, Sendable {
    /// With a dot at the end, as Hubble writes it.
    public var query: String
    /// `A`, `AAAA`, or `TYPE65280` for one without a name.
    public var type: String
    public var addresses: [IPAddress]
    public var aliases: [String]
    /// Seconds.
    public var timeToLive: UInt32
    /// nil: nobody answered.
    public var responseCode: UInt32?
    /// From the query to the answer, in nanoseconds.
    public var latency: UInt64

    public init(
      query: String, type: String, addresses: [IPAddress] = [], aliases: [String] = [], timeToLive: UInt32 = 0,
      responseCode: UInt32?, latency: UInt64
    ) {
      self.query = query
      self.type = type
      self.addresses = addresses
      self.aliases = aliases
      self.timeToLive = timeToLive
      self.responseCode = responseCode
      self.latency = latency
    }
  }

  /// Nanoseconds since the epoch.
  public var time: UInt64
  public var verdict: Verdict
  /// Hubble's number; 0 when nothing was dropped.
  public var dropReason: UInt8 = 0
  public var direction: Direction
  public var source: Endpoint
  public var destination: Endpoint
  public var ipProtocol: UInt8
  /// FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, as in the header.
  public var tcpFlags: UInt8 = 0
  /// ICMP and ICMPv6.
  public var icmpType: UInt8 = 0
  public var icmpCode: UInt8 = 0
  public var isReply = false
  /// Where the client asked for a Service; the responder, its backend, is an end of the flow.
  public var service: Service?
  public var egressAllowedBy: [PolicyReference] = []
  public var ingressAllowedBy: [PolicyReference] = []
  public var egressDeniedBy: [PolicyReference] = []
  public var ingressDeniedBy: [PolicyReference] = []
  /// Where no rule decided: the policies that select the denied side's subject, and so deny what no rule allows.
  public var deniedByDefaultOf: [PolicyReference] = []
  public var http: HTTP?
  public var dns: DNS?
  /// The name that a TLS client asks for (SNI), where a rule read it; empty when it asked for none.
  public var serverName: String?
  /// Of the trace that a request belongs to: 32 hexadecimal digits; empty for none.
  public var traceID = ""
  public var nodeName = ""

  public init(
    time: UInt64, verdict: Verdict, direction: Direction, source: Endpoint, destination: Endpoint, ipProtocol: UInt8
  ) {
    self.time = time
    self.verdict = verdict
    self.direction = direction
    self.source = source
    self.destination = destination
    self.ipProtocol = ipProtocol
  }
}

extension Flow {
  /// What the policies that decided say in `log.value`, each once.
  public var policyLog: [String] {
    var logs: [String] = []
    for reference in egressAllowedBy + ingressAllowedBy + egressDeniedBy + ingressDeniedBy
    where !reference.log.isEmpty && !logs.contains(reference.log) {
      logs.append(reference.log)
    }
    return logs
  }

  /// The protocol's name as filters and tables write it.
  public var protocolName: String {
    if http != nil { return "HTTP" }
    if dns != nil { return "DNS" }
    let known = TransportProtocol(ipProtocol)
    // Hubble tells the two by their names.
    if known == .icmp { return "ICMPv4" }
    return known.hasName ? known.description : "protocol \(ipProtocol)"
  }
}
