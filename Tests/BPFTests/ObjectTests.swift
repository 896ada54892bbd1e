import CLibBPF
import Glibc
import Testing

@testable import BPF

@Suite struct ObjectSpecificationTests {
  @Test func readsMapsAndPrograms() throws {
    let specification = try Sample.specification()
    #expect(Set(specification.programs.map(\.name)) == ["sample", "pass"])
    #expect(specification.programs.allSatisfy { $0.type == .schedCLS && $0.section == "tc" && $0.isSelected })
    let counts = try #require(specification["sample_counts"])
    #expect(counts.type == .hash)
    #expect(counts.keySize == 4 && counts.valueSize == 16 && counts.maxEntries == 128)
    #expect(counts.isPinned)
    #expect(specification["sample_outer"]?.type == .hashOfMaps)
    #expect(specification["sample_events"]?.isPinned == false)
  }

  @Test func refusesWhatIsNoObject() {
    #expect(throws: BPFError.self) { try ObjectSpecification(bytes: Array("not an ELF file".utf8), name: "text") }
    #expect(throws: BPFError.self) { try ObjectSpecification(bytes: [], name: "empty") }
  }

  @Test func refusesUnknownPrograms() throws {
    var specification = try Sample.specification()
    #expect(throws: BPFError.self) { try specification.selectPrograms(["sample", "other"]) }
  }
}

@Suite(.enabled(if: isRoot, "needs root")) struct ObjectLoadingTests {
  @Test func loadsTheSelectionOnly() throws {
    var specification = try Sample.specification()
    try specification.selectPrograms(["pass"])
    specification["sample_counts"]?.maxEntries = 77
    let loaded = try specification.load()
    #expect(Array(loaded.programs.keys) == ["pass"])
    #expect(try loaded.map("sample_counts").info.maxEntries == 77)
    #expect(throws: BPFError.self) { try loaded.program("sample") }
    #expect(throws: BPFError.self) { try loaded.map("absent") }
  }

  @Test func globalDataCanBeSet() throws {
    var specification = try Sample.specification()
    let name = try #require(specification.maps.first { $0.isInternal }?.name)
    specification[name]?.initialValue = withUnsafeBytes(of: UInt32(60)) { Array($0) }
    let program = try specification.load().program("sample")
    #expect(try program.testRun(data: Sample.packet(60)).returnValue == 2)
    #expect(try program.testRun(data: Sample.packet(61)).returnValue == 0)
  }

  @Test func adoptsItsPinsWithTheirContent() throws {
    let folder = try PinFolder()
    let path = folder.path + "/maps"
    let first = try Sample.specification().load(pinningMapsBelow: path)
    #expect(first.adopted.isEmpty)
    #expect(try BPFFS.list(path) == ["sample_counts"])
    let counts: BPFMap<UInt32, SampleCount> = try first.map("sample_counts")
    try counts.update(5, SampleCount(packets: 1, bytes: 5))

    let second = try Sample.specification().load(pinningMapsBelow: path)
    #expect(second.adopted == ["sample_counts"])
    let again: BPFMap<UInt32, SampleCount> = try second.map("sample_counts")
    #expect(try again.lookup(5) == SampleCount(packets: 1, bytes: 5))
    #expect(again.info.id == counts.info.id)
  }

  @Test func roundedSizesAreAdoptedToo() throws {
    let folder = try PinFolder()
    var specification = try Sample.specification()
    specification.pinMaps { $0.type == .ringBuffer || $0.type == .hashOfMaps }
    specification["sample_events"]?.maxEntries = 5000
    let first = try specification.load(pinningMapsBelow: folder.path)
    #expect(try first.map("sample_events").info.maxEntries == 8192)
    #expect(try specification.load(pinningMapsBelow: folder.path).adopted == ["sample_events", "sample_outer"])
  }

  @Test func otherMapsMayBeUsedInstead() throws {
    let counts = try BPFMap<UInt32, SampleCount>.create(.hash, name: "sample_counts", maxEntries: 128)
    let loaded = try Sample.specification().load(reusing: ["sample_counts": counts.raw])
    _ = try loaded.program("sample").testRun(data: Sample.packet(70))
    #expect(try counts.lookup(70)?.packets == 1)
  }

  @Test func saysHowAPinDiffers() throws {
    let folder = try PinFolder()
    let other = try BPFMap<UInt32, UInt64>.create(.lruHash, name: "other", maxEntries: 3)
    try other.raw.pin(at: folder.path + "/sample_counts")
    let mismatch = try #require(throws: PinnedMapMismatch.self) {
      try Sample.specification().load(pinningMapsBelow: folder.path)
    }
    #expect(mismatch.differences.map(\.field) == ["type", "value size", "max entries"])
    #expect(mismatch.differences.last?.expected == "128")
    #expect(try BPFFS.list(folder.path) == ["sample_counts"])
  }

  @Test func refusedProgramsBringTheVerifiersLog() throws {
    let object = try Compiler.object(
      """
      #include <linux/bpf.h>
      #include <bpf/bpf_helpers.h>
      struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, 1);
        __type(key, __u32);
        __type(value, __u32);
        __uint(pinning, LIBBPF_PIN_BY_NAME);
      } refused_map SEC(".maps");
      SEC("tc") int refused(struct __sk_buff *skb)
      {
        __u32 zero = 0, *value = bpf_map_lookup_elem(&refused_map, &zero);
        return *value;
      }
      char _license[] SEC("license") = "Dual BSD/GPL";
      """)
    let folder = try PinFolder()
    let specification = try ObjectSpecification(bytes: object, name: "refused")
    let error = try #require(throws: BPFError.self) { try specification.load(pinningMapsBelow: folder.path) }
    #expect(error.call == "bpf_object__load")
    #expect(error.errno == EACCES)
    #expect(error.verifierLog?.contains("invalid mem access 'map_value_or_null'") == true)
    #expect(error.description.contains("map_value_or_null"))
    #expect(try BPFFS.list(folder.path).isEmpty)
  }

  @Test func refusedInstructionsBringTheVerifiersLog() throws {
    // exit, with nothing in r0
    let exit = bpf_insn(code: UInt8(BPF_JMP | BPF_EXIT), dst_reg: 0, src_reg: 0, off: 0, imm: 0)
    let error = try #require(throws: BPFError.self) {
      try Program.load(.schedCLS, name: "bad", instructions: [exit])
    }
    #expect(error.verifierLog?.contains("R0 !read_ok") == true)
  }
}
