import ArgumentParser
import Bookinfo

struct BookinfoVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bookinfo", abstract: "The demo's servers and a small HTTP client.",
    discussion: "Example: martlet bookinfo serve ratings --port 9080",
    subcommands: [Serve.self, Request.self])

  struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Serve one of bookinfo's services.",
      discussion: "Example: RATINGS_URL=http://10.244.0.2:9080 martlet bookinfo serve reviews --version v2")

    @Argument(help: "productpage, details, reviews or ratings.")
    var role: BookinfoRole

    @Option(help: "Version of the service.")
    var version = "v1"

    @Option(help: "Port to listen on.")
    var port: UInt16 = 9080

    func run() throws {
      do throws(BookinfoError) {
        try BookinfoServer(
          role: role, version: version, port: port, upstreams: BookinfoRole.upstreams(environment: environment())
        ).run()
      } catch {
        complain("\(error)")
        throw Exit.no
      }
    }
  }

  struct Request: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Send one HTTP request and print the answer.",
      discussion:
        "Example: martlet bookinfo request --method POST --header 'X-Auth-Token: a' http://10.244.0.2:9080/api")

    @Option(help: "Method of the request.")
    var method = "GET"

    @Option(name: [.customShort("H"), .long], help: "A header of the request, as 'Name: value'.")
    var header: [String] = []

    @Option(help: "Body of the request.")
    var body = ""

    @Option(help: "Seconds to wait for the whole answer.")
    var timeout = 5.0

    @Flag(help: "Print the status code alone.")
    var statusOnly = false

    @Argument(help: "http://ADDRESS:PORT/PATH")
    var url: String

    func run() throws {
      var headers = HTTPHeaders()
      for text in header {
        guard let colon = text.firstIndex(of: ":") else {
          throw ValidationError("--header: \"\(text)\" is not 'Name: value'")
        }
        headers.append(String(text[..<colon]), String(text[text.index(after: colon)...].drop { $0 == " " }))
      }
      do throws(HTTPClientError) {
        let response = try httpRequest(
          method: method, url: url, headers: headers, body: Array(body.utf8), timeout: timeout)
        print(statusOnly ? String(response.status) : response.text)
      } catch {
        complain("\(error)")
        throw Exit.no
      }
    }
  }
}

extension BookinfoRole: ExpressibleByArgument {}
