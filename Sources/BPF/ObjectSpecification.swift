import CLibBPF
import Glibc

/// What an object file says: its maps and programs, as plain data that may be changed before ``load(pinningMapsBelow:reusing:)``.
///
/// ```swift
/// var specification = try ObjectSpecification(bytes: object, name: "endpoint")
/// specification.selectPrograms(["from_container"])
/// specification["conntrack"]?.maxEntries = 65_536
/// let loaded = try specification.load(pinningMapsBelow: "/sys/fs/bpf/example/maps")
/// ```
public struct ObjectSpecification: Sendable {
  /// A map that the object defines.
  public struct Map: Sendable, Hashable {
    /// The full name, of which the kernel keeps 15 characters.
    public let name: String
    public let type: MapType
    /// In bytes.
    public let keySize: Int
    /// In bytes.
    public let valueSize: Int
    /// Entries; bytes for a ring buffer. 0: as libbpf finds fit.
    public var maxEntries: UInt32
    public var flags: MapFlags
    /// Whether `load` adopts or makes a pin of this name; initially whether the object says LIBBPF_PIN_BY_NAME.
    public var isPinned: Bool
    /// Made by the compiler for global data (.rodata, .data, .bss, .kconfig).
    public let isInternal: Bool
    /// Content of a map for global data; a replacement has the same number of bytes.
    public var initialValue: [UInt8]?
  }

  /// A program that the object holds.
  public struct Program: Sendable, Hashable {
    public let name: String
    /// The ELF section, such as `tc` or `cgroup/connect4`.
    public let section: String
    public let type: ProgramType
    public let attachType: AttachType
    /// Before the verifier's rewriting.
    public let instructionCount: Int
    /// Whether `load` gives it to the kernel; initially so unless its section begins with `?`.
    public var isSelected: Bool
  }

  /// For errors and logs.
  public let name: String
  public let bytes: [UInt8]
  public var maps: [Map]
  public var programs: [Program]

  /// Reads an ELF object for the BPF machine. Nothing is given to the kernel yet.
  public init(bytes: [UInt8], name: String) throws(BPFError) {
    let object = try OpenObject(bytes: bytes, name: name)
    self.name = name
    self.bytes = bytes
    maps = object.maps.map { Map(libbpf: $0) }
    programs = object.programs.map { Program(libbpf: $0) }
  }

  /// The map of this name; assigning to it changes it.
  public subscript(map: String) -> Map? {
    get { maps.first { $0.name == map } }
    set {
      guard let newValue, let index = maps.firstIndex(where: { $0.name == map }) else { return }
      maps[index] = newValue
    }
  }

  /// Selects these programs and no others. Names that the object does not hold are ENOENT.
  public mutating func selectPrograms(_ names: Set<String>) throws(BPFError) {
    if let missing = names.first(where: { name in !programs.contains { $0.name == name } }) {
      throw BPFError(call: "bpf", errno: ENOENT, detail: "object \"\(name)\" has no program \"\(missing)\"")
    }
    for index in programs.indices { programs[index].isSelected = names.contains(programs[index].name) }
  }

  /// Marks maps for pinning; maps for global data only when the predicate is asked about them and agrees.
  public mutating func pinMaps(where predicate: (Map) -> Bool = { !$0.isInternal }) {
    for index in maps.indices { maps[index].isPinned = predicate(maps[index]) }
  }
}

extension ObjectSpecification.Map {
  init(libbpf map: OpaquePointer) {
    name = String(cString: bpf_map__name(map))
    type = MapType(bpf_map__type(map))
    keySize = Int(bpf_map__key_size(map))
    valueSize = Int(bpf_map__value_size(map))
    maxEntries = bpf_map__max_entries(map)
    flags = MapFlags(rawValue: bpf_map__map_flags(map))
    isPinned = bpf_map__pin_path(map) != nil
    isInternal = bpf_map__is_internal(map)
    var size = 0
    initialValue = bpf_map__initial_value(map, &size).map { [UInt8](UnsafeRawBufferPointer(start: $0, count: size)) }
  }
}

extension ObjectSpecification.Program {
  init(libbpf program: OpaquePointer) {
    name = String(cString: bpf_program__name(program))
    section = String(cString: bpf_program__section_name(program))
    type = ProgramType(bpf_program__type(program))
    attachType = AttachType(bpf_program__expected_attach_type(program))
    instructionCount = bpf_program__insn_cnt(program)
    isSelected = bpf_program__autoload(program)
  }
}

/// libbpf's object between opening and closing.
final class OpenObject {
  let pointer: OpaquePointer

  init(bytes: [UInt8], name: String) throws(BPFError) {
    let (result, text) = LibBPFOutput.capture { () -> (OpaquePointer?, Int32) in
      let pointer = name.withCString { name in
        withOptions(bpf_object_open_opts.self) { options in
          options.pointee.object_name = name
          return bpf_object__open_mem(bytes, bytes.count, options)
        }
      }
      return (pointer, errno)
    }
    guard let pointer = result.0 else {
      throw BPFError(
        call: "bpf_object__open_mem", errno: result.1, detail: "object \"\(name)\": \(text.sentences)")
    }
    self.pointer = pointer
  }

  deinit { bpf_object__close(pointer) }

  var maps: [OpaquePointer] { walk { bpf_object__next_map(pointer, $0) } }

  var programs: [OpaquePointer] { walk { bpf_object__next_program(pointer, $0) } }

  private func walk(_ next: (OpaquePointer?) -> OpaquePointer?) -> [OpaquePointer] {
    var found: [OpaquePointer] = []
    while let element = next(found.last) { found.append(element) }
    return found
  }
}
