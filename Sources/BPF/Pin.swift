import CLibBPF
import Glibc

/// Pins: names on a BPF file system that keep an object alive.
enum Pin {
  /// Pins a descriptor at `path`; with `replacing` an older pin gives way in one step (rename(2)).
  static func pin(_ descriptor: Int32, at path: String, replacing: Bool) throws(BPFError) {
    guard replacing, access(path, F_OK) == 0 else {
      try check(bpf_obj_pin(descriptor, path), "BPF_OBJ_PIN", path)
      return
    }
    // The file system refuses names with a dot.
    let temporary = path + "_next"
    unlink(temporary)
    try check(bpf_obj_pin(descriptor, temporary), "BPF_OBJ_PIN", temporary)
    if rename(temporary, path) != 0 {
      let number = errno
      unlink(temporary)
      throw BPFError(call: "rename", errno: number, detail: path)
    }
  }

  /// Removes a pin; one that does not exist is not an error.
  static func unpin(_ path: String) throws(BPFError) {
    if unlink(path) != 0, errno != ENOENT { throw BPFError(call: "unlink", errno: errno, detail: path) }
  }

  static func open(_ path: String) throws(BPFError) -> OwnedDescriptor {
    OwnedDescriptor(owning: try check(bpf_obj_get(path), "BPF_OBJ_GET", path))
  }
}
