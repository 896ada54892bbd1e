import CLibBPF
import CLinux

/// Runs calls of libbpf and keeps what it prints on this thread, so that errors can carry it.
enum LibBPFOutput {
  /// What libbpf said: its sentences, and the verifier's log apart from them.
  struct Text {
    var sentences: String
    var verifierLog: String?
  }

  static func capture<Success>(_ body: () -> Success) -> (Success, Text) {
    clinux_libbpf_capture_begin()
    defer { clinux_libbpf_capture_end() }
    let result = body()
    return (result, split(String(cString: clinux_libbpf_capture_text())))
  }

  /// libbpf frames the verifier's log by lines that contain BEGIN and END PROG LOAD LOG.
  static func split(_ text: String) -> Text {
    var sentences: [Substring] = []
    var log: [Substring] = []
    var inLog = false
    for line in text.split(separator: "\n") {
      if line.contains("-- BEGIN PROG LOAD LOG --") {
        inLog = true
        log = []
      } else if line.hasPrefix("-- END PROG LOAD LOG --") {
        inLog = false
      } else if inLog {
        log.append(line)
      } else {
        sentences.append(line.hasPrefix("libbpf: ") ? line.dropFirst(8) : line)
      }
    }
    return Text(
      sentences: sentences.joined(separator: "; "),
      verifierLog: log.isEmpty ? nil : log.joined(separator: "\n"))
  }

  /// As ``check(_:_:_:)``, with libbpf's own words as the error's detail.
  @discardableResult
  static func check(
    _ call: StaticString, _ subject: String = "", _ body: () -> Int32
  ) throws(BPFError) -> Int32 {
    let (result, text) = capture(body)
    guard result < 0 else { return result }
    let detail = [subject, text.sentences].filter { !$0.isEmpty }.joined(separator: ": ")
    throw BPFError(call: "\(call)", errno: -result, detail: detail, verifierLog: text.verifierLog)
  }
}

/// The text of a fixed-size C array of characters, up to its first NUL.
func text(of characters: some Any) -> String {
  withUnsafeBytes(of: characters) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}
