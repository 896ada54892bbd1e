import CLibBPF
import Glibc

/// A program that the verifier accepted, open in this process. The kernel keeps it while it is attached or pinned.
public final class Program: Sendable {
  let descriptor: OwnedDescriptor
  public let type: ProgramType
  /// Unique on this machine until the program is freed.
  public let id: UInt32
  public let name: String

  init(_ descriptor: OwnedDescriptor) throws(BPFError) {
    self.descriptor = descriptor
    let info = try ProgramInfo(descriptor: descriptor.number)
    type = info.type
    id = info.id
    name = info.name
  }

  /// For calls that want the number itself; it stays owned by the program.
  public var fileDescriptor: Int32 { descriptor.number }

  /// Opens the program that is pinned at `path`.
  public static func fromPin(_ path: String) throws(BPFError) -> Program {
    try Program(Pin.open(path))
  }

  /// Opens the program with this id.
  public static func fromID(_ id: UInt32) throws(BPFError) -> Program {
    try Program(OwnedDescriptor(owning: check(bpf_prog_get_fd_by_id(id), "BPF_PROG_GET_FD_BY_ID", "program \(id)")))
  }

  /// The ids of all programs of the machine, ascending.
  public static func allIDs() throws(BPFError) -> [UInt32] {
    try collectIDs("BPF_PROG_GET_NEXT_ID", bpf_prog_get_next_id)
  }

  /// Loads instructions made by hand; the error carries the verifier's log.
  public static func load(
    _ type: ProgramType, name: String, instructions: [bpf_insn], license: String = "Dual BSD/GPL"
  ) throws(BPFError) -> Program {
    var result = bpf_prog_load(type.kernel, name, license, instructions, instructions.count, nil)
    if result >= 0 { return try Program(OwnedDescriptor(owning: result)) }
    var log = [UInt8](repeating: 0, count: 1 << 20)
    let verifierLog = log.withUnsafeMutableBytes { buffer in
      let again = withOptions(bpf_prog_load_opts.self) { options in
        options.pointee.log_level = 1
        options.pointee.log_size = UInt32(buffer.count)
        options.pointee.log_buf = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
        return bpf_prog_load(type.kernel, name, license, instructions, instructions.count, options)
      }
      // Accepted now, after the first attempt met a passing obstacle.
      if again >= 0 { result = again }
      return String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
    }
    if result >= 0 { return try Program(OwnedDescriptor(owning: result)) }
    throw BPFError(
      call: "BPF_PROG_LOAD", errno: -result, detail: "program \"\(name)\"",
      verifierLog: verifierLog.isEmpty ? nil : verifierLog)
  }

  /// The kernel's present account of the program: its counters change.
  public func info() throws(BPFError) -> ProgramInfo {
    try ProgramInfo(descriptor: fileDescriptor)
  }

  /// Pins the program; with `replacing` an older pin at `path` gives way.
  public func pin(at path: String, replacing: Bool = false) throws(BPFError) {
    try Pin.pin(fileDescriptor, at: path, replacing: replacing)
  }
}

/// What the kernel says of a program (struct bpf_prog_info).
public struct ProgramInfo: Sendable, Hashable {
  public let id: UInt32
  public let type: ProgramType
  public let name: String
  /// SHA-1 of the instructions, its first 8 bytes in hexadecimal.
  public let tag: String
  /// Bytes of machine code; 0 without a JIT compiler.
  public let jitedSize: Int
  /// Bytes of instructions after the verifier's rewriting.
  public let translatedSize: Int
  /// Instructions that the verifier walked; 0 before Linux 5.16.
  public let verifiedInstructions: Int
  /// Runs and nanoseconds while statistics were on; see ``Statistics``.
  public let runCount: UInt64
  public let runTimeNanoseconds: UInt64
  /// The maps that the program uses.
  public let mapIDs: [UInt32]

  init(descriptor: Int32) throws(BPFError) {
    var info = bpf_prog_info()
    var length = UInt32(MemoryLayout<bpf_prog_info>.size)
    try check(bpf_obj_get_info_by_fd(descriptor, &info, &length), "BPF_OBJ_GET_INFO_BY_FD", "a program")
    id = info.id
    type = ProgramType(rawValue: info.type)
    name = text(of: info.name)
    tag = withUnsafeBytes(of: info.tag) { $0.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
    jitedSize = Int(info.jited_prog_len)
    translatedSize = Int(info.xlated_prog_len)
    verifiedInstructions = Int(info.verified_insns)
    runCount = info.run_cnt
    runTimeNanoseconds = info.run_time_ns

    var ids = [UInt32](repeating: 0, count: Int(info.nr_map_ids))
    let result = ids.withUnsafeMutableBufferPointer { ids in
      guard let address = ids.baseAddress, !ids.isEmpty else { return Int32(0) }
      var again = bpf_prog_info()
      again.nr_map_ids = UInt32(ids.count)
      again.map_ids = UInt64(UInt(bitPattern: address))
      return bpf_obj_get_info_by_fd(descriptor, &again, &length)
    }
    try check(result, "BPF_OBJ_GET_INFO_BY_FD", "the maps of program \"\(name)\"")
    mapIDs = ids
  }
}

/// While one exists, the kernel counts the runs and the run time of all programs (some ns for each run).
public final class Statistics: Sendable {
  private let descriptor: OwnedDescriptor

  private init(_ descriptor: OwnedDescriptor) { self.descriptor = descriptor }

  /// Turns the counters on until the returned value goes.
  public static func enable() throws(BPFError) -> Statistics {
    Statistics(OwnedDescriptor(owning: try check(bpf_enable_stats(BPF_STATS_RUN_TIME), "BPF_ENABLE_STATS")))
  }
}
