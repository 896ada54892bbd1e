import ArgumentParser
import JSON
import NodeAPI

struct Observe: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show what happens to the traffic: verdicts, drops with reason and rule, HTTP requests.",
    discussion: """
      Example: martlet observe --verdict DROPPED --follow
      Example: martlet observe --to-pod default/productpage --http-status 400-599 -o json
      """)

  @OptionGroup var instance: InstanceOptions

  @Flag(name: [.short, .long], help: "Go on with flows as they come.")
  var follow = false

  @Option(help: "How many of the newest flows (default: 20; with --follow: 0).")
  var last: Int?

  @Option(help: "NAMESPACE/POD or a prefix of a name; of either end.")
  var pod: [String] = []

  @Option(help: "As --pod, of the sender.")
  var fromPod: [String] = []

  @Option(help: "As --pod, of the receiver.")
  var toPod: [String] = []

  @Option(name: [.short, .long], help: "Namespace of either end.")
  var namespace: [String] = []

  @Option(help: "NAMESPACE/NAME or a prefix of a name: the Service by which the client came.")
  var service: [String] = []

  @Option(help: "FORWARDED, DROPPED, AUDIT, REDIRECTED, ERROR.")
  var verdict: [String] = []

  @Option(help: "Hubble's name of a reason, such as POLICY_DENIED.")
  var dropReason: [String] = []

  @Option(help: "tcp, udp, icmp, icmpv4, icmpv6, sctp, http.")
  var `protocol`: [String] = []

  @Option(help: "Port of either end.")
  var port: [String] = []

  @Option(help: "Address or CIDR of either end.")
  var ip: [String] = []

  @Option(help: "Method of an HTTP request.")
  var httpMethod: [String] = []

  @Option(help: "Status of an HTTP answer: 404, 5+, 500-599.")
  var httpStatus: [String] = []

  @Option(name: .customLong("trace-id"), help: "Trace of an HTTP request: the 32 digits of its traceparent.")
  var traceID: [String] = []

  @Option(name: [.short, .customLong("output")], help: "compact, json or jsonpb.")
  var output = "compact"

  func run() throws {
    guard ["compact", "json", "jsonpb"].contains(output) else {
      throw ValidationError("-o: \"\(output)\" is not compact, json or jsonpb")
    }
    let lists = [
      ("pod", pod), ("fromPod", fromPod), ("toPod", toPod), ("namespace", namespace),
      ("service", service),
      ("verdict", verdict.map { $0.uppercased() }), ("dropReason", dropReason), ("protocol", self.protocol),
      ("port", port), ("address", ip), ("method", httpMethod), ("httpStatus", httpStatus),
      ("traceID", traceID),
    ]
    var query = lists.filter { !$0.1.isEmpty }
      .map { "\($0.0)=\(NodeClient.escaped($0.1.joined(separator: ",")))" }
    if let last { query.append("last=\(last)") }
    if follow { query.append("follow=true") }
    let asJSON = output != "compact"
    let client = NodeClient(socketPath: instance.directory.agentSocket)
    do {
      try client.stream("/v1/flows?" + query.joined(separator: "&")) { document in
        var document = document
        let line = document["line"]?.stringValue
        document["line"] = nil
        print(asJSON ? document.text() : line ?? Observe.lost(document))
        flushOutput()
        return true
      }
    } catch let error as NodeError {
      complain("\(error)")
      throw ExitCode(error.exitCode)
    }
  }

  private static func lost(_ document: JSONValue) -> String {
    let count = document[path: "lost_events", "num_events_lost"]?.stringValue ?? "?"
    return "EVENTS LOST: \(count) flows came faster than they were read"
  }
}
