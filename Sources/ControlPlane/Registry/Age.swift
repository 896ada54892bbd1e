import Clocks

enum Age {
  /// How long ago, as kubectl writes an age: `5s`, `3m10s`, `2h`, `4d`.
  static func text(since text: String, now: Int) -> String {
    guard let then = Timestamp.seconds(of: text) else { return "<unknown>" }
    let total = max(0, now - then)
    let (minutes, hours, days) = (total / 60, total / 3600, total / 86400)
    func pair(_ big: Int, _ bigUnit: String, _ small: Int, _ smallUnit: String) -> String {
      small == 0 ? "\(big)\(bigUnit)" : "\(big)\(bigUnit)\(small)\(smallUnit)"
    }
    if total < 120 { return "\(total)s" }
    if minutes < 10 { return pair(minutes, "m", total % 60, "s") }
    if minutes < 180 { return "\(minutes)m" }
    if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
    if hours < 48 { return "\(hours)h" }
    if hours < 192 { return pair(days, "d", hours % 24, "h") }
    if days < 730 { return "\(days)d" }
    if days < 8 * 365 { return pair(days / 365, "y", days % 365, "d") }
    return "\(days / 365)y"
  }
}
