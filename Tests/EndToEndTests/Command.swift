import Glibc
import JSON
import TestSupport

/// What a command left behind.
struct Outcome: CustomStringConvertible {
  /// The exit status; 128 + the signal's number when one ended it; 124 when it took longer than it may.
  let status: Int32
  let output: String
  let errors: String

  var description: String { "status \(status)\n\(output)\(errors)" }
  var text: String { output.trimmed }

  func json() throws -> JSONValue { try JSONValue(parsing: output) }
}

extension String {
  var trimmed: String { String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()) }
}

/// A process that a test has started and ends itself.
final class Child: @unchecked Sendable {  // `status` is only touched by the test that owns the child
  let pid: pid_t
  private var status: Int32?

  /// Starts `arguments`, found in PATH; its output goes to the given files.
  init(
    _ arguments: [String], environment: [String: String] = [:], input: String = "/dev/null",
    output: String = "/dev/null", errors: String = "/dev/null"
  ) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    let flags = O_WRONLY | O_CREAT | O_APPEND
    posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, flags, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errors, flags, 0o600)
    // The threads that run tests block signals, and a child would inherit that: SIGTERM would never reach it.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    // `env` sets what differs, so that nobody changes this process's environment.
    let words = ["env"] + environment.map { "\($0.key)=\($0.value)" } + arguments
    var vector = words.map { strdup($0) } + [nil]
    defer { for word in vector { free(word) } }
    var child: pid_t = 0
    let error = posix_spawnp(&child, "env", &actions, &attributes, &vector, environ)
    guard error == 0 else { throw Failure("posix_spawn \(arguments): \(String(cString: strerror(error)))") }
    pid = child
  }

  /// Whether it has not ended yet.
  var isRunning: Bool { poll(WNOHANG) == nil }

  func signal(_ number: Int32) { if isRunning { kill(pid, number) } }

  @discardableResult func wait() -> Int32 { poll(0) ?? -1 }

  /// Asks it to end, and sees to it that it does.
  func end() {
    signal(SIGTERM)
    let deadline = ContinuousClock.now + .seconds(2)
    while isRunning, ContinuousClock.now < deadline { usleep(5_000) }
    signal(SIGKILL)
    wait()
  }

  private func poll(_ options: Int32) -> Int32? {
    if let status { return status }
    var raw: Int32 = 0
    var result = waitpid(pid, &raw, options)
    while result < 0, errno == EINTR { result = waitpid(pid, &raw, options) }
    guard result == pid else { return nil }
    status = raw & 0x7f == 0 ? (raw >> 8) & 0xff : 128 + (raw & 0x7f)
    return status
  }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Runs a command to its end, at most `seconds`.
@discardableResult func command(
  _ arguments: [String], environment: [String: String] = [:], stdin: String? = nil, seconds: Int = 40
) throws -> Outcome {
  let directory = try TemporaryDirectory.make("e2e-run")
  defer { TemporaryDirectory.remove(directory) }
  let input = stdin == nil ? "/dev/null" : directory + "/in"
  if let stdin { try write(stdin, to: input) }
  let child = try Child(
    ["timeout", "-k", "2", "\(seconds)"] + arguments, environment: environment, input: input,
    output: directory + "/out", errors: directory + "/err")
  let status = child.wait()
  return Outcome(status: status, output: read(directory + "/out"), errors: read(directory + "/err"))
}

/// As `command`, for what has to succeed.
@discardableResult func must(
  _ arguments: [String], environment: [String: String] = [:], stdin: String? = nil
) throws -> Outcome {
  let outcome = try command(arguments, environment: environment, stdin: stdin)
  guard outcome.status == 0 else { throw Failure("\(arguments.joined(separator: " ")): \(outcome)") }
  return outcome
}

/// Asks until the answer is yes, or `seconds` have passed.
func eventually(within seconds: Double, every interval: UInt32 = 50_000, _ condition: () throws -> Bool) rethrows
  -> Bool
{
  let end = ContinuousClock.now + .seconds(seconds)
  while ContinuousClock.now < end {
    if try condition() { return true }
    usleep(interval)
  }
  return try condition()
}

func write(_ text: String, to path: String) throws {
  guard let file = fopen(path, "we") else { throw Failure("\(path): \(String(cString: strerror(errno)))") }
  defer { fclose(file) }
  let bytes = Array(text.utf8)
  guard fwrite(bytes, 1, bytes.count, file) == bytes.count else { throw Failure("\(path): short write") }
}

/// The text of a file; empty when it can not be read.
func read(_ path: String) -> String {
  guard let file = fopen(path, "re") else { return "" }
  defer { fclose(file) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 65536)
  while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
  return String(decoding: bytes, as: UTF8.self)
}

/// The names in a directory; none when it can not be read.
func entries(of directory: String) -> Set<String> {
  guard let stream = opendir(directory) else { return [] }
  defer { closedir(stream) }
  var names: Set<String> = []
  while let entry = readdir(stream) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name != ".", name != ".." { names.insert(name) }
  }
  return names
}
