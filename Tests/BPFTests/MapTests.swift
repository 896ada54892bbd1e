import Glibc
import Testing

@testable import BPF

/// The key of an LPM trie, laid out as the kernel wants it.
struct PrefixKey: BitwiseCopyable, Hashable {
  var length: UInt32
  var address: UInt32
}

@Suite(.enabled(if: isRoot, "needs root")) struct MapTests {
  @Test(arguments: [MapType.hash, .lruHash])
  func hashes(_ type: MapType) throws {
    let map = try BPFMap<UInt32, UInt64>.create(type, name: "a_rather_long_name", maxEntries: 64)
    #expect(map.info.name == "a_rather_long_n" && map.info.type == type && map.info.maxEntries == 64)
    #expect(try map.lookup(1) == nil)
    #expect(try map.nextKey(after: nil) == nil)
    try map.update(1, 10)
    try map.update(2, 20, .noExist)
    #expect(try #require(throws: BPFError.self) { try map.update(2, 21, .noExist) }.errno == EEXIST)
    #expect(try #require(throws: BPFError.self) { try map.update(3, 30, .exist) }.errno == ENOENT)
    #expect(try map.lookup(2) == 20)
    #expect(Dictionary(try map.entries().map { ($0.key, $0.value) }, uniquingKeysWith: +) == [1: 10, 2: 20])
    #expect(try map.delete(1))
    #expect(try !map.delete(1))
    let first = try map.nextKey(after: nil)
    #expect(first == 2)
    #expect(try map.nextKey(after: 2) == nil)
  }

  @Test(arguments: [1, 7, 5000])
  func batches(_ count: Int) throws {
    let map = try BPFMap<UInt32, UInt64>.create(.hash, name: "batches", maxEntries: 5000)
    try map.update((0..<UInt32(count)).map { ($0, UInt64($0) * 2) })
    let entries = try map.entries()
    #expect(entries.count == count)
    #expect(entries.allSatisfy { $0.value == UInt64($0.key) * 2 })
    #expect(Set(try map.drain().map(\.key)).count == count)
    #expect(try map.entries().isEmpty)
  }

  @Test func batchesThatDoNotFitSayWhy() throws {
    let map = try BPFMap<UInt32, UInt64>.create(.hash, name: "full", maxEntries: 4)
    let error = try #require(throws: BPFError.self) { try map.update((0..<9).map { ($0, 0) }) }
    #expect(error.errno == E2BIG)
    #expect(error.description == "BPF_MAP_UPDATE_ELEM failed for map \"full\": E2BIG")
  }

  @Test func arrays() throws {
    let map = try BPFMap<UInt32, UInt16>.create(.array, name: "array", maxEntries: 3)
    try map.update(2, 7)
    #expect(try map.entries().map(\.value) == [0, 0, 7])
    #expect(try map.lookup(3) == nil)
    #expect(throws: BPFError.self) { try map.update(3, 1) }
  }

  @Test func longestPrefixWins() throws {
    let map = try BPFMap<PrefixKey, UInt32>.create(.lpmTrie, name: "trie", maxEntries: 8)
    let net = PrefixKey(length: 8, address: UInt32(0x0a00_0000).bigEndian)
    let subnet = PrefixKey(length: 24, address: UInt32(0x0a01_0200).bigEndian)
    try map.update(net, 1)
    try map.update(subnet, 2)
    #expect(try map.lookup(PrefixKey(length: 32, address: UInt32(0x0a01_0203).bigEndian)) == 2)
    #expect(try map.lookup(PrefixKey(length: 32, address: UInt32(0x0a01_0303).bigEndian)) == 1)
    #expect(try map.lookup(PrefixKey(length: 32, address: UInt32(0x0b01_0303).bigEndian)) == nil)
    #expect(Set(try map.entries().map(\.key)) == [net, subnet])
    #expect(try map.delete(subnet))
    #expect(Set(try map.drain().map(\.key)) == [net])
    #expect(try map.entries().isEmpty)
  }

  @Test(arguments: [MapType.perCPUHash, .perCPUArray, .lruPerCPUHash])
  func perCPU(_ type: MapType) throws {
    let map = try PerCPUMap<UInt32, UInt32>.create(type, name: "percpu", maxEntries: 4)
    let values = (0..<possibleCPUCount).map { UInt32($0) + 5 }
    try map.update(1, values)
    #expect(try map.lookup(1) == values)
    #expect(try map.entries().first { $0.key == 1 }?.values == values)
    #expect(throws: BPFError.self) { try map.update(1, values + [1]) }
    #expect(throws: BPFError.self) { try BPFMap<UInt32, UInt32>(map.raw) }
  }

  @Test func innerMapsAreSwappedAndOpened() throws {
    func inner(_ value: UInt32, maxEntries: UInt32 = 16) throws -> BPFMap<UInt32, UInt32> {
      let map = try BPFMap<UInt32, UInt32>.create(.hash, name: "inner", maxEntries: maxEntries)
      try map.update(0, value)
      return map
    }
    let outer = try MapOfMaps<UInt32>.create(name: "outer", maxEntries: 4, template: inner(0).raw)
    #expect(try outer.inner(7) == nil)
    let first = try inner(1)
    try outer.update(7, first.raw)
    #expect(try outer.innerID(7) == first.info.id)
    try outer.update(7, inner(2, maxEntries: 99).raw)
    let found = try #require(try outer.inner(7))
    #expect(try BPFMap<UInt32, UInt32>(found).lookup(0) == 2)
    #expect(try outer.entries().map(\.key) == [7])
    let other = try BPFMap<UInt32, UInt64>.create(.hash, name: "other", maxEntries: 16)
    #expect(try #require(throws: BPFError.self) { try outer.update(8, other.raw) }.errno == EINVAL)
    #expect(try outer.delete(7))
    #expect(try outer.entries().isEmpty)
  }

  @Test func manyInnerMapsArePutInPlaceAtOnce() throws {
    func inner() throws -> RawMap { try BPFMap<UInt32, UInt32>.create(.hash, name: "inner", maxEntries: 4).raw }
    let outer = try MapOfMaps<UInt32>.create(name: "outer", maxEntries: 200, template: inner())
    let inners = try (0..<200).map { (key: UInt32($0), inner: try inner()) }
    try outer.update(inners)
    #expect(Set(try outer.entries().map(\.innerID)) == Set(inners.map(\.inner.info.id)))
    #expect(try #require(throws: BPFError.self) { try outer.update([(999, inners[0].inner)]) }.errno == E2BIG)
  }

  @Test(arguments: [AF_INET, AF_INET6])
  func socketsByIndex(_ family: Int32) throws {
    let map = try SocketMap.create(name: "sockets", maxEntries: 2)
    let listener = socket(family, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    try #require(listen(listener, 1) == 0)
    #expect(try map.cookie(1) == nil)
    #expect(try !map.delete(1))
    try map.update(1, socket: listener)
    #expect(try map.cookie(1) != nil)
    #expect(try map.delete(1))
    #expect(throws: BPFError.self) { try map.update(2, socket: listener) }
    #expect(throws: BPFError.self) { try map.update(0, socket: -1) }
  }

  @Test func pinsAndIDs() throws {
    let folder = try PinFolder()
    let map = try BPFMap<UInt32, UInt64>.create(.hash, name: "pinned", maxEntries: 4)
    try map.update(1, 2)
    let path = folder.path + "/pinned"
    try map.raw.pin(at: path)
    #expect(try BPFMap<UInt32, UInt64>.fromPin(path).lookup(1) == 2)
    #expect(try BPFMap<UInt32, UInt64>.fromID(map.info.id).lookup(1) == 2)
    #expect(try RawMap.allIDs().contains(map.info.id))
    let error = try #require(throws: BPFError.self) { try BPFMap<UInt32, UInt32>.fromPin(path) }
    #expect(error.detail.contains("keys of 4 and values of 8 bytes"))
    #expect(try #require(throws: BPFError.self) { try RawMap.fromPin(folder.path + "/absent") }.name == "ENOENT")
    try BPFFS.remove(folder.path)
    #expect(try BPFFS.list(folder.path).isEmpty)
  }

  @Test func memoryGrowsWithTheMap() throws {
    let small = try RawMap.create(.array, name: "small", keySize: 4, valueSize: 8, maxEntries: 1)
    let large = try RawMap.create(.array, name: "large", keySize: 4, valueSize: 8, maxEntries: 10_000)
    #expect(try small.memoryBytes() >= 8)
    #expect(try large.memoryBytes() >= 80_000)
  }

  @Test func rawBytes() throws {
    let map = try RawMap.create(.hash, name: "raw", keySize: 2, valueSize: 3, maxEntries: 4)
    try map.update([1, 2], [3, 4, 5])
    #expect(try map.lookup([1, 2]) == [3, 4, 5])
    #expect(try map.entries().map(\.key) == [[1, 2]])
    #expect(throws: BPFError.self) { try map.lookup([1]) }
    #expect(throws: BPFError.self) { try map.update([1, 2], [3]) }
    #expect(throws: BPFError.self) { try map.nextKey(after: []) }
    #expect(try map.delete([1, 2]))
  }
}
