import Glibc
import JSON

/// How large the large tests are: `MARTLET_SCALE` times what CI tries.
enum Scale {
  static let factor = getenv("MARTLET_SCALE").flatMap { Int(String(cString: $0)) } ?? 1

  /// Runs `body`, prints how long it took, and returns that in seconds.
  @discardableResult static func timed(_ what: String, _ body: () throws -> Void) rethrows -> Double {
    let start = ContinuousClock.now
    try body()
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    print("scale: \(what): \(Double(Int(seconds * 1000)) / 1000) s")
    return seconds
  }

  /// Resident memory of a process, in MiB.
  static func memory(of pid: pid_t?) -> Int {
    guard let pid else { return 0 }
    let line = read("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
    return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) / 1024
  }
}

extension Node {
  /// The API server's token, for what kubectl would take too long.
  var token: String {
    let line = read(state + "/kubeconfig").split(separator: "\n").first { $0.contains("token: ") }
    return line?.split(separator: " ").last.map(String.init) ?? ""
  }

  /// Creates objects over a few connections that are kept; throws unless each of them was created.
  func create(_ path: String, count: Int, _ object: (Int) -> JSONValue) throws {
    let sections = (0..<count).map { index -> String in
      let body = object(index).text().replacing("\\", with: "\\\\").replacing("\"", with: "\\\"")
      return """
        url = "https://127.0.0.1:6443\(path)"
        header = "Authorization: Bearer \(token)"
        header = "Content-Type: application/json"
        data = "\(body)"
        insecure
        silent
        output = "/dev/null"
        write-out = "%{http_code}\\n"
        """
    }
    let file = directory + "/requests"
    try write(sections.joined(separator: "\nnext\n"), to: file)
    let outcome = try onNode(["curl", "--parallel", "--parallel-max", "8", "-K", file], seconds: 300)
    let created = outcome.output.split(separator: "\n").count { $0 == "201" }
    guard created == count else { throw Failure("\(created) of \(count) objects were created at \(path): \(outcome)") }
  }

  func get(_ path: String) throws -> JSONValue {
    let outcome = try onNode(
      ["curl", "-sk", "-H", "Authorization: Bearer \(token)", "https://127.0.0.1:6443\(path)"])
    return try outcome.json()
  }
}
