import ArgumentParser
import JSON
import Proxy
import Routing

struct RouteWhy: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "why", abstract: "Explain which route a request takes, by which object, and to which endpoints.",
    discussion: """
      The answer is the table's that routes requests; nothing is sent. Policies are not asked: `martlet why` does that.
      Example: martlet route why GET http://productpage:9080/ -H 'x-canary: true'
      """)

  @OptionGroup var instance: InstanceOptions
  @OptionGroup var output: OutputOptions

  @Argument(help: "GET, POST and so on.")
  var method: String

  @Argument(help: "http://SERVICE[.NAMESPACE[.svc.cluster.local]][:PORT]/PATH")
  var url: String

  @Option(name: [.customShort("H"), .customLong("header")], help: "A header of the request, as 'Name: value'.")
  var headers: [String] = []

  @Option(name: .shortAndLong, help: "The client's namespace, for Services that are named without one.")
  var namespace = "default"

  @Option(
    help: "Instead of the one for the address' Service: a listener by its number, as `martlet route list` shows it.")
  var listener: UInt32?

  @Flag(help: "As -o json.")
  var json = false

  func run() throws {
    let fields = try headers.map { line in
      guard let colon = line.dropFirst().firstIndex(of: ":") else {
        throw ValidationError("--header: \"\(line)\" is not 'Name: value'")
      }
      return RouteQuestion.Header(
        name: String(line[..<colon]), value: String(line[line.index(after: colon)...].drop { $0 == " " }))
    }
    guard let question = RouteQuestion(method: method, url: url, headers: fields) else {
      throw ValidationError("\"\(url)\" is not http://SERVICE[:PORT]/PATH")
    }
    let folder = try RouteFolder(instance)
    let state = try chosen(folder.states, question)
    guard let listener = state.listener else {
      complain("listener \(state.number) is not usable: \(state.rejection?.reason ?? "it has no file")")
      throw Exit.no
    }
    let explanation: RouteExplanation
    do {
      explanation = try RouteExplanation(question, listener, health: folder.health)
    } catch {
      complain("\(error)")
      throw Exit.no
    }
    let word = folder.word(state)
    if json {
      print(explanation.json.text(pretty: true))
    } else {
      output.print(explanation.json) { wide in RouteExplanationText(explanation, state: word, wide: wide).text }
    }
    if !explanation.isServed { throw Exit.no }
  }

  private func chosen(_ states: [ListenerState], _ question: RouteQuestion) throws -> ListenerState {
    if let listener {
      guard let state = states.first(where: { $0.number == listener }) else {
        complain("there is no listener \(listener); `martlet route list` shows them")
        throw Exit.usage
      }
      return state
    }
    let service = question.service(from: namespace)
    let found = states.filter { $0.listener?.leads(service.name, port: service.port) ?? false }
    guard let state = found.first else {
      complain("no listener is for Service \(service.name), port \(service.port): its requests are not routed")
      throw Exit.no
    }
    return state
  }
}
