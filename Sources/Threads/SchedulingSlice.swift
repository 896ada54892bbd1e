import CLinux

/// How long a thread wants to run before another one's turn.
public enum SchedulingSlice {
  /// For threads that work for a few microseconds at a time, on which somebody waits.
  ///
  /// A thread's deadline is the later, the longer the slice that it asks for (Linux 6.12, EEVDF): with the usual one of some
  /// milliseconds, a proxy that has something to do waits behind whoever computes. A tenth of a millisecond is the least that the
  /// kernel takes. It gets no more time by it than others; older kernels know no slices, and nothing changes there.
  public static func shorten() { _ = clinux_set_slice(100_000) }
}
