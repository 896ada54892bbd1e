import CLibBPF
import Glibc
import Testing

@testable import BPF

@Suite(.enabled(if: isRoot, "needs root")) struct ProgramTests {
  @Test func testRunsSeePacketContextAndMaps() throws {
    let loaded = try Sample.specification().load()
    let program = try loaded.program("sample")
    let outer = try MapOfMaps<UInt32>(loaded.map("sample_outer"))
    let inner = try BPFMap<UInt32, UInt32>.create(.hash, name: "inner", maxEntries: 16)
    try inner.update(64, 99)
    try outer.update(7, inner.raw)

    var context = SocketBufferContext(mark: 7)
    let result = try program.testRun(data: Sample.packet(64), context: &context)
    #expect(result.returnValue == 0)
    #expect(result.data == Sample.packet(64))
    #expect(context.mark == 99)
    let counts: BPFMap<UInt32, SampleCount> = try loaded.map("sample_counts")
    #expect(try counts.lookup(64) == SampleCount(packets: 1, bytes: 64))
    #expect(throws: BPFError.self) { try program.testRun(data: [1, 2, 3]) }
  }

  @Test func perCPUCountersAddUp() throws {
    let loaded = try Sample.specification().load()
    _ = try loaded.program("sample").testRun(data: Sample.packet(64), repeating: 10)
    let counters = try PerCPUMap<UInt32, UInt32>(loaded.map("sample_percpu"))
    let values = try #require(try counters.lookup(0))
    #expect(values.count == possibleCPUCount)
    #expect(values.reduce(0, +) == 10)
  }

  @Test func infoPinsAndIDs() throws {
    let folder = try PinFolder()
    let program = try Sample.specification().load().program("sample")
    let info = try program.info()
    #expect(info.name == "sample" && info.type == .schedCLS)
    #expect(info.tag.count == 16)
    #expect(info.verifiedInstructions > 0 && info.translatedSize > 0)
    #expect(info.mapIDs.count >= 4)
    #expect(try Program.allIDs().contains(program.id))
    try program.pin(at: folder.path + "/prog")
    #expect(throws: BPFError.self) { try program.pin(at: folder.path + "/prog") }
    try program.pin(at: folder.path + "/prog", replacing: true)
    #expect(try Program.fromPin(folder.path + "/prog").id == program.id)
    #expect(try Program.fromID(program.id).name == "sample")
    #expect(try BPFFS.list(folder.path) == ["prog"])
  }

  @Test func statisticsCountRuns() throws {
    let program = try Sample.specification().load().program("pass")
    let statistics = try Statistics.enable()
    _ = try program.testRun(data: Sample.packet(64), repeating: 100)
    withExtendedLifetime(statistics) {}
    let info = try program.info()
    #expect(info.runCount == 100)
    #expect(info.runTimeNanoseconds > 0)
  }

  @Test func features() {
    #expect(Feature.programType(.schedCLS).probe() == .supported)
    #expect(Feature.mapType(.lpmTrie).probe() == .supported)
    #expect(Feature.ringBuffer.probe() == .supported)
    #expect(Feature.helper(1, .schedCLS).probe() == .supported)
    let unknown = Feature.programType(ProgramType(rawValue: 4000)).probe()
    #expect(!unknown.isSupported)
  }
}
