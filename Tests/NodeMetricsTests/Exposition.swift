/// A strict reader of Prometheus' text format, for tests.
enum Exposition {
  /// What is wrong with `text`; nothing when every line is as the format has it: a head before the samples, each family
  /// once and in one piece, no sample twice, counters not negative and named `_total`.
  static func faults(of text: String) -> [String] {
    var faults: [String] = []
    var kinds: [String: String] = [:]
    var helped: Set<String> = []
    var seen: Set<String> = []
    var current = ""
    if !text.isEmpty, !text.hasSuffix("\n") { faults.append("no newline at the end") }
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
      if line.hasPrefix("# HELP ") {
        if !helped.insert(words[2]).inserted { faults.append("a second HELP: \(line)") }
      } else if line.hasPrefix("# TYPE ") {
        guard words.count == 4, ["counter", "gauge", "histogram", "summary", "untyped"].contains(words[3]) else {
          faults.append("no such type: \(line)")
          continue
        }
        if kinds.updateValue(words[3], forKey: words[2]) != nil { faults.append("a second TYPE: \(line)") }
        if !helped.contains(words[2]) { faults.append("no HELP: \(line)") }
        if words[3] == "counter", !words[2].hasSuffix("_total") { faults.append("a counter without _total: \(line)") }
        current = words[2]
      } else if let sample = line.wholeMatch(of: pattern) {
        let name = family(String(sample.1), kinds)
        if kinds[name] == nil { faults.append("no TYPE: \(line)") }
        if name != current { faults.append("not in its family: \(line)") }
        if !seen.insert("\(sample.1)\(sample.2 ?? "")").inserted { faults.append("twice: \(line)") }
        if kinds[name] == "counter", sample.3.hasPrefix("-") { faults.append("negative: \(line)") }
      } else {
        faults.append("not a sample: \(line)")
      }
    }
    return faults
  }

  /// The family of a sample; those of histograms have three names.
  private static func family(_ name: String, _ kinds: [String: String]) -> String {
    for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
      let base = String(name.dropLast(suffix.count))
      if kinds[base] == "histogram" { return base }
    }
    return name
  }

  private static var pattern: Regex<(Substring, Substring, Substring?, Substring)> {
    let label = #"[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*""#
    let value = #"[-+]?(?:[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|Inf)|NaN"#
    // The pattern is a constant of this test.
    // swift-format-ignore: NeverUseForceTry
    return try! Regex(#"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{"# + label + "(?:," + label + #")*\})? ("# + value + ")")
  }
}
