/// Runs `body`, and cancels it when it takes longer than `limit`.
func withDeadline<Value: Sendable>(
  _ limit: Duration, _ body: @escaping @Sendable () async throws(KubernetesError) -> Value
) async throws(KubernetesError) -> Value {
  let result = await withTaskGroup(of: Result<Value, KubernetesError>?.self) { group in
    group.addTask {
      do throws(KubernetesError) {
        return .success(try await body())
      } catch {
        return .failure(error)
      }
    }
    group.addTask {
      // Cancelled when the body is done first.
      try? await Task.sleep(for: limit)
      return nil
    }
    let first = await group.next() ?? nil
    group.cancelAll()
    return first
  }
  if let result { return try result.get() }
  throw .transport(Task.isCancelled ? "cancelled" : "no answer within \(limit)")
}
