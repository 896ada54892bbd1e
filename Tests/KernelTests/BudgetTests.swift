import BPF
import Foundation
import Testing

/// What bpf/budget.json grants each program, by its name.
private struct Budgets: Decodable {
  struct Program: Decodable {
    /// Instructions that the verifier may walk, by kernel series ("6.12").
    let verifiedInstructions: [String: UInt32]
    let machineCodeBytes: UInt32

    /// A series that nobody has measured has what the most generous one has.
    func verifiedInstructions(series: String) -> UInt32 {
      verifiedInstructions[series] ?? verifiedInstructions.values.max() ?? 0
    }
  }
  let programs: [String: Program]

  static func read() throws -> Budgets {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
    return try JSONDecoder().decode(
      Budgets.self, from: Data(contentsOf: root.appendingPathComponent("bpf/budget.json")))
  }
}

/// "6.12" of "6.12.95+deb12-amd64".
private func kernelSeries() throws -> String {
  let release = try String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
  return release.split(separator: ".").prefix(2).joined(separator: ".")
}

@Suite(.enabled(if: isRoot, "needs root")) struct BudgetTests {
  /// Every program loads, and the verifier walks no more instructions than bpf/budget.json grants.
  @Test func programsStayWithinTheirBudgets() throws {
    let objects = try [
      Node.specification(), Node.hostSpecification(), Node.wireSpecification(), Node.proxySpecification(),
      SocketStage.specification(),
      SocketEndTests.specification(),
    ]
    let programs = try objects.reduce(into: [:]) { all, object in
      all.merge(try object.load().programs) { $1 }
    }
    let budgets = try Budgets.read().programs
    let series = try kernelSeries()
    #expect(programs.keys.sorted() == budgets.keys.sorted())
    for (name, program) in programs {
      let info = try program.info()
      let budget = try #require(budgets[name])
      let granted = budget.verifiedInstructions(series: series)
      // scripts/kernel-matrix reads this line.
      print("budget: \(name) \(info.verifiedInstructions) of \(granted) verified, \(info.jitedSize) bytes")
      #expect(info.verifiedInstructions <= granted, "\(name), Linux \(series)")
      #expect(info.jitedSize <= budget.machineCodeBytes, "\(name), Linux \(series)")
    }
  }
}
