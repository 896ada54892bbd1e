import Foundation

/// Runs tools/regex-oracle, whose README describes the output.
struct OracleProcess {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  enum Availability {
    case python(String)
    case missing(why: String)
  }

  static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "tools/regex-oracle/oracle.py").path

  /// `MARTLET_ORACLE_PYTHON` is a promise: what it names is used, working or not.
  static func availability() -> Availability {
    if let python = ProcessInfo.processInfo.environment["MARTLET_ORACLE_PYTHON"], !python.isEmpty {
      return .python(python)
    }
    guard let result = try? run("python3", ["-c", "import re2"]), result.status == 0 else {
      return .missing(why: "python3 has no google-re2, and MARTLET_ORACLE_PYTHON does not name one that has")
    }
    return .python("python3")
  }

  static func answers(_ python: String, seed: Int, pairs: Int) throws -> [UInt8] {
    let result = try run(python, [script, "--seed", String(seed), "--pairs", String(pairs)])
    guard result.status == 0 else { throw Failure(description: "the oracle exited with \(result.status)") }
    return result.output
  }

  private static func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: [UInt8]) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, Array(output))
  }
}
