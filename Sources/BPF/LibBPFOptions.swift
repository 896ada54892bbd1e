/// Runs `body` with one of libbpf's option structs, zeroed and with its size filled in.
///
/// libbpf refuses options whose tail padding is not zero, and a copy of a Swift value leaves padding undefined: so
/// the struct is made in place, and its fields are set through the pointer.
func withOptions<Options, Success>(
  _: Options.Type, _ body: (UnsafeMutablePointer<Options>) -> Success
) -> Success {
  let size = MemoryLayout<Options>.size
  let memory = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: MemoryLayout<Options>.alignment)
  defer { memory.deallocate() }
  memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
  // All of them begin with `size_t sz`.
  memory.storeBytes(of: size, as: Int.self)
  return body(memory.bindMemory(to: Options.self, capacity: 1))
}
