#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

public enum Version {
  public static let current = "0.1.0"

  static var processID: Int32 { getpid() }
}
