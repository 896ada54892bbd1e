import Foundation
import Glibc
import TestSupport
import Testing

@testable import BPF

/// Compiles BPF C with the toolchain's clang.
enum Compiler {
  struct Failure: Error { let message: String }

  static func object(_ source: String) throws -> [UInt8] {
    let directory = try TemporaryDirectory("bpf")
    let folder = URL(fileURLWithPath: directory.path)
    let input = folder.appendingPathComponent("test.bpf.c")
    let output = folder.appendingPathComponent("test.bpf.o")
    try Data(source.utf8).write(to: input)
    let clang = Process()
    clang.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    clang.arguments = [
      "clang", "-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror",
      "-I/usr/include/\(machine)-linux-gnu", "-c", input.path, "-o", output.path,
    ]
    let errors = Pipe()
    clang.standardError = errors
    try clang.run()
    let message = errors.fileHandleForReading.readDataToEndOfFile()
    clang.waitUntilExit()
    guard clang.terminationStatus == 0 else { throw Failure(message: String(decoding: message, as: UTF8.self)) }
    return try withExtendedLifetime(directory) { [UInt8](try Data(contentsOf: output)) }
  }

  private static var machine: String {
    #if arch(arm64)
      "aarch64"
    #else
      "x86_64"
    #endif
  }
}

/// A folder on the BPF file system for one test, removed with it.
final class PinFolder {
  let path: String

  init() throws {
    try BPFFS.ensureMounted()
    path = "/sys/fs/bpf/bpftests-\(getpid())-\(UInt32.random(in: 0 ... .max))"
    try BPFFS.makeDirectories(path)
  }

  deinit { try? BPFFS.remove(path) }
}

/// Tests that use the kernel need root.
let isRoot = geteuid() == 0

/// Counts packets by length, reports each, and forwards those that `drop_length` does not name.
let sampleSource = """
  #include <linux/bpf.h>
  #include <linux/pkt_cls.h>
  #include <bpf/bpf_helpers.h>

  struct count { __u64 packets; __u64 bytes; };
  struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 128);
    __type(key, __u32);
    __type(value, struct count);
    __uint(pinning, LIBBPF_PIN_BY_NAME);
  } sample_counts SEC(".maps");
  struct {
    __uint(type, BPF_MAP_TYPE_RINGBUF);
    __uint(max_entries, 4096);
  } sample_events SEC(".maps");
  struct {
    __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
    __uint(max_entries, 2);
    __type(key, __u32);
    __type(value, __u32);
  } sample_percpu SEC(".maps");
  struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, 8);
    __type(key, __u32);
    __array(values, struct {
      __uint(type, BPF_MAP_TYPE_HASH);
      __uint(max_entries, 16);
      __type(key, __u32);
      __type(value, __u32);
    });
  } sample_outer SEC(".maps");
  const volatile __u32 drop_length = 0;

  struct event { __u32 length; __u32 mark; };

  SEC("tc") int sample(struct __sk_buff *skb)
  {
    __u32 length = skb->len, zero = 0, mark = skb->mark, *seen;
    struct count one = { 1, length }, *count = bpf_map_lookup_elem(&sample_counts, &length);
    struct event *event;
    void *inner;
    if (count) {
      __sync_fetch_and_add(&count->packets, 1);
      __sync_fetch_and_add(&count->bytes, length);
    } else {
      bpf_map_update_elem(&sample_counts, &length, &one, BPF_ANY);
    }
    seen = bpf_map_lookup_elem(&sample_percpu, &zero);
    if (seen)
      *seen += 1;
    event = bpf_ringbuf_reserve(&sample_events, sizeof(*event), 0);
    if (event) {
      event->length = length;
      event->mark = mark;
      bpf_ringbuf_submit(event, 0);
    }
    inner = bpf_map_lookup_elem(&sample_outer, &mark);
    if (inner) {
      seen = bpf_map_lookup_elem(inner, &length);
      if (seen)
        skb->mark = *seen;
    }
    return length == drop_length ? TC_ACT_SHOT : TC_ACT_OK;
  }

  SEC("tc") int pass(struct __sk_buff *skb)
  {
    return TC_ACT_OK;
  }

  char _license[] SEC("license") = "Dual BSD/GPL";
  """

struct SampleCount: BitwiseCopyable, Equatable {
  var packets: UInt64
  var bytes: UInt64
}

struct SampleEvent: BitwiseCopyable, Equatable {
  var length: UInt32
  var mark: UInt32
}

/// The sample, compiled once for all tests.
enum Sample {
  static let bytes = Result { try Compiler.object(sampleSource) }

  static func specification() throws -> ObjectSpecification {
    try ObjectSpecification(bytes: bytes.get(), name: "sample")
  }

  /// An Ethernet frame of `length` bytes whose payload is nothing that the kernel knows.
  static func packet(_ length: Int) -> [UInt8] {
    Array(
      [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5] + [UInt8](repeating: 0xab, count: length).prefix(length - 14))
  }
}
