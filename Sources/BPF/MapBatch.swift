import CLibBPF
import Glibc

/// What a walk over a map's entries does to them.
enum BatchOperation {
  case lookup
  case lookupAndDelete

  var name: StaticString {
    switch self {
    case .lookup: "BPF_MAP_LOOKUP_BATCH"
    case .lookupAndDelete: "BPF_MAP_LOOKUP_AND_DELETE_BATCH"
    }
  }
}

extension RawMap {
  /// Calls `body` with each key and value (``storedValueSize`` bytes), by batches where the kernel can and
  /// one by one where it can not. The buffers are valid during the call only.
  func forEachEntry(
    _ operation: BatchOperation = .lookup,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) throws(BPFError) {
    // Maps of maps and sockets have no batches for reading in every kernel that has batches.
    if info.type.isOfMaps || info.type == .sockMap || info.type == .sockHash {
      return try forEachEntryOneByOne(operation, body)
    }
    guard try forEachEntryBatched(operation, body) else { return try forEachEntryOneByOne(operation, body) }
  }

  /// False when this kernel has no batches for this type of map; nothing was then visited.
  private func forEachEntryBatched(
    _ operation: BatchOperation, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) throws(BPFError) -> Bool {
    var capacity = Int(min(max(info.maxEntries, 1), 1024))
    var keys = [UInt8](repeating: 0, count: capacity * info.keySize)
    var values = [UInt8](repeating: 0, count: capacity * storedValueSize)
    // The kernel's cursor: a bucket's number or a key.
    var cursor = [UInt8](repeating: 0, count: max(info.keySize, 8))
    var isFirst = true
    while true {
      var count = UInt32(capacity)
      let input = cursor
      var output = cursor
      let result = input.withUnsafeBytes { from in
        let from = isFirst ? nil : UnsafeMutableRawPointer(mutating: from.baseAddress)
        return switch operation {
        case .lookup:
          bpf_map_lookup_batch(fileDescriptor, from, &output, &keys, &values, &count, nil)
        case .lookupAndDelete:
          bpf_map_lookup_and_delete_batch(fileDescriptor, from, &output, &keys, &values, &count, nil)
        }
      }
      switch -result {
      case 0, ENOENT:
        break
      case ENOSPC where count == 0 || capacity < 1 << 20:
        // One bucket holds more entries than the buffers do.
        capacity *= 2
        keys = [UInt8](repeating: 0, count: capacity * info.keySize)
        values = [UInt8](repeating: 0, count: capacity * storedValueSize)
        continue
      case EINVAL where isFirst, RawMap.notSupported, EOPNOTSUPP:
        return false
      default:
        try check(result, operation.name, label)
      }
      visit(keys, values, Int(count), body)
      if result == -ENOENT { return true }
      cursor = output
      isFirst = false
    }
  }

  private func visit(
    _ keys: [UInt8], _ values: [UInt8], _ count: Int,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) {
    keys.withUnsafeBytes { keys in
      values.withUnsafeBytes { values in
        for index in 0..<count {
          body(
            UnsafeRawBufferPointer(rebasing: keys[index * info.keySize..<(index + 1) * info.keySize]),
            UnsafeRawBufferPointer(rebasing: values[index * storedValueSize..<(index + 1) * storedValueSize]))
        }
      }
    }
  }

  private func forEachEntryOneByOne(
    _ operation: BatchOperation, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
  ) throws(BPFError) {
    // A key that is deleted under the walk restarts it; the bound keeps it finite under constant change.
    var remaining = 2 * Int(info.maxEntries) + 1
    var next = try nextKey(after: nil)
    while let key = next, remaining > 0 {
      remaining -= 1
      next = try nextKey(after: key)
      guard let value = try lookup(key) else { continue }
      key.withUnsafeBytes { key in value.withUnsafeBytes { value in body(key, value) } }
      if operation == .lookupAndDelete { try delete(key) }
    }
  }

  /// ENOTSUPP, the kernel's internal "not supported", which escapes to user space here.
  private static let notSupported: Int32 = 524
}
