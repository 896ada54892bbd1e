/// The share of new connections that an endpoint gets: percent of what an endpoint without a weight gets.
public enum EndpointWeight {
  /// On an EndpointSlice, for all of its endpoints: 0 (no new connections) to 100.
  public static let annotation = "service.martlet.io/weight"
  public static let standard = 100

  /// How often each of a table's backends stands in it. Shares are exact where the table then has at most 1024 entries,
  /// or two for each backend; else they are rounded, to once at least.
  public static func repeats(_ weights: [Int]) -> [Int] {
    let divisor = weights.reduce(0, gcd)
    guard divisor > 0 else { return weights.map { _ in 0 } }
    let sum = weights.reduce(0, +)
    let limit = max(1024, 2 * weights.count)
    if sum / divisor <= limit { return weights.map { $0 / divisor } }
    return weights.map { $0 == 0 ? 0 : max(1, ($0 * limit + sum / 2) / sum) }
  }

  private static func gcd(_ left: Int, _ right: Int) -> Int { right == 0 ? left : gcd(right, left % right) }
}
