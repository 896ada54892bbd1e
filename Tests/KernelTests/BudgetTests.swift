import BPF
import Foundation
import Testing

@Suite(.enabled(if: isRoot, "needs root")) struct BudgetTests {
  /// Every program loads, and the verifier walks no more instructions than bpf/budget.json grants.
  @Test func programsStayWithinTheirBudgets() throws {
    let loaded = try Node.specification().load()
    #expect(loaded.programs.keys.sorted() == ["from_container", "to_container"])
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("../..")
    let budgets = try JSONSerialization.jsonObject(
      with: Data(contentsOf: root.appendingPathComponent("bpf/budget.json")))
    let programs = try #require((budgets as? [String: Any])?["programs"] as? [String: [String: Int]])
    for (name, program) in loaded.programs {
      let info = try program.info()
      let budget = try #require(programs[name])
      print("budget: \(name) \(info.verifiedInstructions) verified, \(info.jitedSize) bytes")
      #expect(info.verifiedInstructions <= budget["verifiedInstructions"] ?? 0, "\(name)")
      #expect(info.jitedSize <= budget["machineCodeBytes"] ?? 0, "\(name)")
    }
  }
}
