/// Prometheus' text format, version 0.0.4
/// (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format).
public enum TextExposition {
  public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

  /// The families in the order given, each once: samples of families that share a name stand together under the first
  /// one's head, as the format wants them. A family without samples is left out.
  public static func render(_ families: [MetricFamily]) -> String {
    var order: [String] = []
    var merged: [String: (head: MetricFamily, samples: [MetricFamily.Sample])] = [:]
    for family in families where !family.samples.isEmpty {
      if merged[family.name] == nil { order.append(family.name) }
      merged[family.name, default: (family, [])].samples += family.samples
    }
    var text = ""
    for name in order {
      guard let (head, samples) = merged[name] else { continue }
      text += "# HELP \(name) \(escape(head.help, quotes: false))\n# TYPE \(name) \(head.kind.rawValue)\n"
      for sample in samples { text += "\(name)\(sample.suffix)\(labels(sample.labels)) \(number(sample.value))\n" }
    }
    return text
  }

  private static func labels(_ labels: [String: String]) -> String {
    if labels.isEmpty { return "" }
    let pairs = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(escape($0.value, quotes: true))\"" }
    return "{\(pairs.joined(separator: ","))}"
  }

  private static func escape(_ text: String, quotes: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  private static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
    // Above 2^53 the neighbours of a whole number are no whole numbers any more.
    if value == value.rounded(), value.magnitude <= 9_007_199_254_740_992 { return "\(Int64(value))" }
    return "\(value)"
  }
}
