import Dispatch

enum Thread {
  /// A queue of its own for each server, as `run()` blocks.
  static func start(_ body: @escaping @Sendable () -> Void) {
    DispatchQueue(label: "bookinfo").async(execute: body)
  }
}
