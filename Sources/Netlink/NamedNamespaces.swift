import Glibc

/// Namespaces with a name below /run/netns, which ip-netns(8) sees and which outlive this process.
extension NetworkNamespace {
  /// Makes a namespace and gives it a name. EEXIST when the name is taken.
  public static func create(named name: String) throws(NetlinkError) -> NetworkNamespace {
    try prepareFolder()
    let path = "\(folder)/\(name)"
    let file = open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0)
    if file < 0 { throw .last("create \(path)") }
    close(file)
    do throws(NetlinkError) {
      return try onNewNamespaceThread { () throws(NetlinkError) in
        if mount("/proc/thread-self/ns/net", path, "none", UInt(MS_BIND), nil) != 0 {
          throw .last("mount \(path)")
        }
      }
    } catch {
      unlink(path)
      throw error
    }
  }

  /// Removes the name; the namespace goes when no process, socket or descriptor holds it. False when there is none.
  @discardableResult
  public static func delete(named name: String) throws(NetlinkError) -> Bool {
    let path = "\(folder)/\(name)"
    // A file that is no mount is the remains of an interrupted creation.
    if umount2(path, Int32(MNT_DETACH)) != 0, errno != EINVAL, errno != ENOENT { throw .last("umount \(path)") }
    if unlink(path) == 0 { return true }
    if errno == ENOENT { return false }
    throw .last("unlink \(path)")
  }

  /// The names below /run/netns, sorted.
  public static func names() throws(NetlinkError) -> [String] {
    guard let entries = opendir(folder) else {
      if errno == ENOENT { return [] }
      throw .last("opendir \(folder)")
    }
    defer { closedir(entries) }
    var names: [String] = []
    while let entry = readdir(entries) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  /// Makes the folder a shared mount, so that names appear in, and can be removed from, every mount namespace.
  private static func prepareFolder() throws(NetlinkError) {
    if mkdir(folder, 0o755) != 0, errno != EEXIST { throw .last("mkdir \(folder)") }
    let shared = UInt(MS_SHARED) | UInt(MS_REC)
    if mount("", folder, "none", shared, nil) == 0 { return }
    // EINVAL: it is no mount point yet.
    if errno != EINVAL { throw .last("mount --make-shared \(folder)") }
    if mount(folder, folder, "none", UInt(MS_BIND) | UInt(MS_REC), nil) != 0 {
      throw .last("mount --bind \(folder)")
    }
    if mount("", folder, "none", shared, nil) != 0 { throw .last("mount --make-shared \(folder)") }
  }
}
