import Glibc
import TestSupport

/// A client that keeps one HTTP/1.1 connection and sends a request when it is told to.
final class KeptConnection {
  private let child: Child
  private let directory: String
  private let input: Int32
  private var answers = 0

  private static let script = """
    exec 3<>"/dev/tcp/$1/$2" || { echo unreachable; exit; }
    echo connected
    while read -r method; do
      [ "$method" = WAIT ] || printf '%s /ratings/0 HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0\\r\\n\\r\\n' "$method" >&3
      IFS= read -r -t 1 status <&3
      result=$?
      if [ $result -gt 128 ]; then echo none; continue; elif [ $result -ne 0 ]; then echo closed; continue; fi
      length=0
      while IFS= read -r -t 1 header <&3 && [ "$header" != $'\\r' ]; do
        header=${header%$'\\r'}
        case ${header,,} in content-length:*) length=${header#*:} ;; esac
      done
      [ $((length)) -gt 0 ] && LC_ALL=C IFS= read -r -t 1 -N $((length)) body <&3
      echo "${status:9:3}"
    done
    """

  init(on node: Node, from source: Place, to destination: Place, port: Int = 9080, _ family: Family) throws {
    directory = try TemporaryDirectory.make("e2e-kept")
    let fifo = directory + "/in"
    guard mkfifo(fifo, 0o600) == 0 else { throw Failure("mkfifo: \(String(cString: strerror(errno)))") }
    // For both: opening does not wait for the other end.
    input = open(fifo, O_RDWR | O_CLOEXEC)
    let address = try node.address(of: destination, family)
    child = try Child(
      node.invocation(
        ["bash", "-c", "exec < \(fifo); " + KeptConnection.script, "kept", address, "\(port)"], at: source),
      environment: node.environment, output: directory + "/out", errors: directory + "/err")
    let first = try answer()
    guard first == "connected" else {
      throw Failure("\(source) to \(destination): \(first), \(read(directory + "/err"))")
    }
  }

  deinit {
    child.signal(SIGKILL)
    child.wait()
    close(input)
    TemporaryDirectory.remove(directory)
  }

  /// The status of the answer; `none` when none comes within a second, `closed` when the connection is.
  func request(_ method: String = "GET") throws -> String {
    let line = Array("\(method)\n".utf8)
    guard Glibc.write(input, line, line.count) == line.count else { throw Failure("the client is gone") }
    return try answer()
  }

  /// The answer to a request that had none yet.
  func late() throws -> String { try request("WAIT") }

  private func answer() throws -> String {
    let expected = answers + 1
    _ = eventually(within: 20, every: 5000) { lines.count >= expected }
    guard lines.count >= expected else { throw Failure("no word of the client: \(read(directory + "/err"))") }
    answers = expected
    return String(lines[expected - 1])
  }

  private var lines: [Substring] { read(directory + "/out").split(separator: "\n") }
}
