import ArgumentParser
import JSON
import LoadGenerator

struct BenchVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure: a load generator, and a server that is no bottleneck.",
    discussion: "Example: martlet bench serve --port 8080",
    subcommands: [HTTP.self, TCP.self, Connect.self, Pairs.self, DNS.self, Serve.self])

  struct HTTP: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "http", abstract: "Send HTTP/1.1 requests and print their latencies.",
      discussion: """
        Example: martlet bench http http://10.244.0.2:8080/ --connections 16 --rate 1000 --duration 30s

        With --rate, latency counts from the time a request was meant to leave, so that a stall shows in each request that \
        it delayed. Without, every connection sends as fast as it is answered.
        """)

    @OptionGroup var load: LoadArguments

    @Option(help: "Method of the requests.")
    var method = "GET"

    @Option(name: [.customShort("H"), .long], help: "A header of the requests, as 'Name: value'.")
    var header: [String] = []

    @Option(help: "Bytes of each request's body.")
    var payload = 0

    @Argument(help: "http://HOST[:PORT][/PATH]")
    var url: String

    func run() async throws {
      let body = [UInt8](repeating: 0x78, count: max(0, payload))
      try await load.measure(.http(method: method, headers: header, body: body)) { () throws(LoadError) in
        try LoadTarget(url: url)
      }
    }
  }

  struct TCP: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "tcp", abstract: "Send bytes to a server that sends them back and print the round trips.",
      discussion: """
        Example: martlet bench tcp 10.244.0.2:7 --duration 5s
        Connections per second: martlet bench tcp 10.244.0.2:7 --new-connections --connections 16
        """)

    @OptionGroup var load: LoadArguments

    @Option(help: "Bytes of each round trip.")
    var payload = 64

    @Argument(help: "HOST:PORT")
    var endpoint: String

    func run() async throws {
      try await load.measure(.echo(bytes: payload)) { () throws(LoadError) in try LoadTarget(endpoint: endpoint) }
    }
  }

  struct Connect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "connect", abstract: "Open TCP connections, end each at once, and print how long opening took.",
      discussion: "Example: martlet bench connect 10.96.0.10:80 --connections 16 --duration 5s")

    @OptionGroup var load: LoadArguments

    @Argument(help: "HOST:PORT")
    var endpoint: String

    func run() async throws {
      try await load.measure(.connect) { () throws(LoadError) in try LoadTarget(endpoint: endpoint) }
    }
  }

  struct Pairs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "pairs",
      abstract: "Make TCP connections and take them too, one after another, and print what each took.",
      discussion: """
        Example: martlet bench pairs 10.96.0.10:80 --port 8080 --server-netns /run/netns/server
        One thread holds both ends, so that neither another process nor a wake-up is measured. An octet goes there, one comes \
        back, and the server's end closes first. Several targets are connected to in turn.
        """)

    @Option(help: "Port to listen on.")
    var port: UInt16

    @Option(help: "Path of the network namespace to listen in; this one without.")
    var serverNetns: String?

    @Flag(help: "End each connection by a reset as soon as it is open.")
    var reset = false

    @Option(help: "Threads of the generator.")
    var threads = 1

    @Option(help: "How long to measure: 500ms, 30s, 2m.", transform: parseDuration)
    var duration: Duration = .seconds(2)

    @Option(help: "How long to run the same load before.", transform: parseDuration)
    var warmUp: Duration = .milliseconds(300)

    @Flag(help: "Print a JSON document with fortio's names.")
    var json = false

    @Argument(help: "HOST:PORT")
    var targets: [String]

    func run() async throws {
      do {
        var run = PairRun(targets: try targets.map { try LoadTarget(endpoint: $0) }, port: port)
        run.serverNamespace = serverNetns
        run.resets = reset
        run.threads = threads
        run.duration = nanoseconds(duration)
        run.warmUp = nanoseconds(warmUp)
        let outcome = try await run.run()
        print(json ? run.document(outcome).text(pretty: true) : pairTable(run, outcome))
      } catch {
        complain("\(error)")
        throw Exit.no
      }
    }
  }

  struct DNS: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "dns", abstract: "Ask a DNS server by UDP and print how long its answers take.",
      discussion: """
        Example: martlet bench dns 10.96.0.10 www.example.com --connections 16 --rate 1000
        Each connection is a socket with one query under way; --new-connections takes a port for each query. The statuses \
        are the RCODEs of the answers: 0 for success, 5 for refused.
        """)

    @OptionGroup var load: LoadArguments

    @Option(help: "What to ask for: A or AAAA.")
    var type = DNSQuestion.Kind.a

    @Argument(help: "HOST[:PORT] of the server.")
    var server: String

    @Argument(help: "The name to ask for.")
    var name: String

    func run() async throws {
      let question: DNSQuestion
      do throws(LoadError) { question = try DNSQuestion(name, type) } catch {
        complain("\(error)")
        throw Exit.usage
      }
      try await load.measure(.dns(question)) { () throws(LoadError) in
        try LoadTarget(endpoint: server, defaultPort: 53)
      }
    }
  }

  struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "serve", abstract: "Serve the same answer to every request, or with --echo what was sent.",
      discussion: "Example: martlet bench serve --port 8080 --size 1024")

    @Option(help: "Port to listen on.")
    var port: UInt16 = 8080

    @Option(help: "Bytes of each answer's body.")
    var size = 1024

    @Flag(help: "Send back what comes, for `martlet bench tcp`.")
    var echo = false

    func run() throws {
      do throws(LoadError) {
        try BenchServer(port: port, behaviour: echo ? .echo : .http(bodyBytes: size)).run()
      } catch {
        complain("\(error)")
        throw Exit.no
      }
    }
  }
}

extension DNSQuestion.Kind: ExpressibleByArgument {}

/// What all loads have in common.
struct LoadArguments: ParsableArguments {
  @Option(help: "Connections, each with one request under way.")
  var connections = 1

  @Option(help: "Requests per second in all; as many as possible without.")
  var rate: Double?

  @Option(help: "How long to measure: 500ms, 30s, 2m.", transform: parseDuration)
  var duration: Duration = .seconds(10)

  @Option(help: "How long to run the same load before.", transform: parseDuration)
  var warmUp: Duration = .seconds(2)

  @Option(help: "When a request without an answer counts as failed.", transform: parseDuration)
  var timeout: Duration = .seconds(10)

  @Option(help: "Threads of the generator.")
  var threads = 1

  @Flag(help: "A connection for each request.")
  var newConnections = false

  @Flag(help: "Print a JSON document with fortio's names.")
  var json = false

  @Flag(help: "With --json: the buckets of the histogram of latencies too, to add up several runs.")
  var buckets = false

  /// Runs the load and prints what it measured; exit code 1 when no request was answered.
  func measure(_ traffic: LoadProtocol, _ target: () throws(LoadError) -> LoadTarget) async throws {
    let run: LoadRun
    do throws(LoadError) {
      var options = LoadOptions(target: try target(), traffic: traffic)
      options.connections = connections
      options.rate = rate
      options.duration = nanoseconds(duration)
      options.warmUp = nanoseconds(warmUp)
      options.timeout = nanoseconds(timeout)
      options.threads = threads
      if newConnections { options.newConnections = true }
      run = try LoadRun(options)
    } catch {
      complain("\(error)")
      throw Exit.usage
    }
    let document = LoadDocument(options: run.options, result: try await run.run(), hasBuckets: buckets)
    print(json ? document.json.text(pretty: true) : loadTable(document))
    if document.result.answered == 0 { throw Exit.no }
  }
}

private func nanoseconds(_ duration: Duration) -> UInt64 {
  let parts = duration.components
  return UInt64(max(0, parts.seconds)) * 1_000_000_000 + UInt64(max(0, parts.attoseconds / 1_000_000_000))
}

private func pairTable(_ run: PairRun, _ outcome: PairRun.Outcome) -> String {
  var table = Table("TARGET", "CONNECTIONS", "p50", "p99")
  for (target, latencies) in zip(run.targets, outcome.latencies) {
    table.add(
      target.authority, "\(latencies.count)", "\(latencies.percentile(50)) ns", "\(latencies.percentile(99)) ns")
  }
  return table.text
}

private func loadTable(_ document: LoadDocument) -> String {
  func fixed(_ value: Double, _ digits: Int) -> String {
    let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
    let rounded = Int64((value * scale).rounded())
    guard digits > 0 else { return String(rounded) }
    let fraction = String(rounded % Int64(scale))
    return "\(rounded / Int64(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
  }
  func milliseconds(_ nanoseconds: UInt64) -> String { fixed(Double(nanoseconds) / 1e6, 3) + " ms" }
  let result = document.result
  var table = Table("WHAT", "VALUE")
  table.add("requests", "\(result.answered)")
  table.add("rate", "\(fixed(document.rate, 1))/s")
  table.add("minimum", milliseconds(result.latencies.minimum))
  for percent in LoadDocument.percentiles {
    table.add(
      "p\(percent == percent.rounded() ? fixed(percent, 0) : "\(percent)")",
      milliseconds(result.latencies.percentile(percent)))
  }
  table.add("maximum", milliseconds(result.latencies.maximum))
  for (status, count) in result.statuses.sorted(by: { $0.key < $1.key }) { table.add("status \(status)", "\(count)") }
  for (reason, count) in result.failures.sorted(by: { $0.key < $1.key }) { table.add("failed: \(reason)", "\(count)") }
  if result.unsent > 0 { table.add("not sent in time", "\(result.unsent)") }
  if result.lateness.count > 0 { table.add("generator late, p99", milliseconds(result.lateness.percentile(99))) }
  table.add("generator CPU", fixed(result.use.userSeconds + result.use.systemSeconds, 2) + " s")
  table.add("context switches", "\(result.use.voluntarySwitches + result.use.involuntarySwitches)")
  return table.text
}
