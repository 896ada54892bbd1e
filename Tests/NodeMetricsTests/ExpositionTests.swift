import NodeMetrics
import Testing

@Suite struct ExpositionTests {
  @Test func histogramsAddUp() {
    let text = TextExposition.render([
      MetricFamily(
        "wait_seconds", .histogram, "Waits.",
        MetricFamily.Sample.histogram(["a": "b"], bounds: [0.5, 1], counts: [2, 0, 3], sum: 12.5))
    ])
    #expect(
      text == """
        # HELP wait_seconds Waits.
        # TYPE wait_seconds histogram
        wait_seconds_bucket{a="b",le="0.5"} 2
        wait_seconds_bucket{a="b",le="1.0"} 2
        wait_seconds_bucket{a="b",le="+Inf"} 5
        wait_seconds_sum{a="b"} 12.5
        wait_seconds_count{a="b"} 5

        """)
    #expect(Exposition.faults(of: text) == [])
  }

  @Test func writesWhatTheFormatWants() {
    let text = TextExposition.render([
      MetricFamily(
        "drops_total", .counter, "Packets\\lines\nof \"two\".",
        [.init(["reason": "a \"b\"\\c\nd", "direction": "EGRESS"], 3), .init(0.5)]),
      MetricFamily("empty", .gauge, "Nothing.", []),
      MetricFamily("size", .gauge, "Big.", 1 << 53),
      MetricFamily("drops_total", .counter, "Again.", [.init(["direction": "INGRESS"], UInt64(7))]),
      MetricFamily("odd", .gauge, "Odd.", [.init(["a": "nan"], .nan), .init(["a": "inf"], -.infinity)]),
    ])
    #expect(
      text == #"""
        # HELP drops_total Packets\\lines\nof "two".
        # TYPE drops_total counter
        drops_total{direction="EGRESS",reason="a \"b\"\\c\nd"} 3
        drops_total 0.5
        drops_total{direction="INGRESS"} 7
        # HELP size Big.
        # TYPE size gauge
        size 9007199254740992
        # HELP odd Odd.
        # TYPE odd gauge
        odd{a="nan"} NaN
        odd{a="inf"} -Inf

        """#)
    #expect(Exposition.faults(of: text) == [])
  }

  /// The checker the other tests rely on sees what is wrong.
  @Test(arguments: [
    "a 1\n", "# HELP a x\n# TYPE a counter\na 1", "# HELP a x\n# TYPE a whatever\na 1\n",
    "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"c\\d\"} 1\n",
    "# HELP a x\n# TYPE a gauge\na one\n", "# HELP a x\n# TYPE a gauge\na 1\na 1\n",
    "# HELP a x\n# TYPE a counter\na 1\n", "# HELP 1a x\n# TYPE 1a gauge\n1a 1\n",
    "# HELP a_total x\n# TYPE a_total counter\na_total -1\n",
    "# HELP a x\n# TYPE a gauge\na 1\n# HELP b x\n# TYPE b gauge\nb 1\na{c=\"d\"} 1\n",
  ]) func brokenTextIsFound(_ text: String) {
    #expect(Exposition.faults(of: text) != [])
  }

  @Test func tellsOfTheProcess() throws {
    let families = ProcessMetrics.collect()
    #expect(Exposition.faults(of: TextExposition.render(families)) == [])
    let values = families.reduce(into: [:]) { $0[$1.name] = $1.samples.first?.value }
    #expect(try #require(values["process_resident_memory_bytes"]) > 1_000_000)
    #expect(try #require(values["process_open_fds"]) >= 3)
    #expect(try #require(values["process_threads"]) >= 1)
    let start = try #require(values["process_start_time_seconds"])
    #expect(start > 1_600_000_000 && start < 4_000_000_000)
    #expect(values["process_cpu_seconds_total"] != nil)
  }
}
