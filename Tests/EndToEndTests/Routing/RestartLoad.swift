import Glibc
import JSON
import TestSupport

/// Clients in a pod that keep asking while the proxy is replaced, and servers that they ask.
///
/// To each target there are some connections that are kept, a client that connects anew for each request, a WebSocket, and
/// a download that ends with the load. A connection that is kept and then closed is a failure as a wrong answer is.
final class RestartLoad {
  private let child: Child
  private let directory: String

  struct Result {
    let requests: Int
    let failures: [String]
    /// Messages that came back by WebSockets, and octets of the downloads.
    let echoes: Int
    let octets: Int
    /// The longest time without a good answer to a new connection.
    let longestGap: Double
  }

  static func serverCommand(_ node: Node, port: Int) throws -> [String] {
    try write(source, to: node.directory + "/load.py")
    return ["python3", node.directory + "/load.py", "serve", "\(port)"]
  }

  /// - Parameters:
  ///   - targets: Address and port of each.
  ///   - endures: Whether failures end nothing: what is asked for is only how long they last.
  init(_ node: Node, from client: Place, targets: [(String, Int)], endures: Bool = false) throws {
    directory = try TemporaryDirectory.make("e2e-load")
    child = try Child(
      node.invocation(
        ["python3", node.directory + "/load.py", endures ? "endure" : "load", directory]
          + targets.map { "\($0.0) \($0.1)" }, at: client),
      environment: node.environment, output: directory + "/out", errors: directory + "/err")
    let directory = directory
    let runs = eventually(within: 20) { entries(of: directory).contains("running") }
    guard runs else { throw Failure("the load does not run: \(read(directory + "/out"))\(read(directory + "/err"))") }
  }

  deinit {
    child.signal(SIGKILL)
    child.wait()
    TemporaryDirectory.remove(directory)
  }

  /// Requests that were answered so far.
  var answered: Int { Int(read(directory + "/answered")) ?? 0 }

  /// Lets some more requests pass.
  func goOn(_ count: Int = 200) throws {
    let start = answered
    guard eventually(within: 20, { answered >= start + count }) else {
      throw Failure("\(answered - start) requests in twenty seconds: \(read(directory + "/err"))")
    }
  }

  func end() throws -> Result {
    try write("", to: directory + "/stop")
    child.wait()
    let value = try JSONValue(parsing: read(directory + "/out"))
    guard let requests = value["requests"]?.integerValue else {
      throw Failure("the load said \(value.text()) \(read(directory + "/err"))")
    }
    return Result(
      requests: Int(requests), failures: (value["failures"]?.arrayValue ?? []).compactMap(\.stringValue),
      echoes: Int(value["echoes"]?.integerValue ?? 0), octets: Int(value["octets"]?.integerValue ?? 0),
      longestGap: Double(value["gap"]?.integerValue ?? 0) / 1000)
  }

  private static let source = """
    import json, os, socket, sys, threading, time

    def serve(port):
        def talk(s):
            stream = s.makefile("rb")
            try:
                while True:
                    line = stream.readline()
                    if not line: return
                    headers = {}
                    while True:
                        field = stream.readline()
                        if field in (b"\\r\\n", b""): break
                        name, _, value = field.partition(b":")
                        headers[name.lower()] = value.strip()
                    path = line.split()[1]
                    if b"upgrade" in headers:
                        s.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n")
                        while True:
                            line = stream.readline()
                            if not line: return
                            s.sendall(line)
                    elif path.startswith(b"/long"):
                        stop = path.split(b"=")[1].decode() + "/stop"
                        s.sendall(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
                        while not os.path.exists(stop):
                            s.sendall(b"64\\r\\n" + b"x" * 100 + b"\\r\\n")
                            time.sleep(0.02)
                        s.sendall(b"0\\r\\n\\r\\n")
                    else:
                        s.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
            except OSError: pass
            finally: s.close()
        listener = socket.socket(socket.AF_INET6)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("::", port))
        listener.listen(128)
        while True: threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    def load(directory, targets, endures):
        lock, failures, good, gaps = threading.Lock(), [], {}, {}
        counts = {"requests": 0, "echoes": 0, "octets": 0}
        stopping = lambda: os.path.exists(directory + "/stop")
        def count(what, n=1):
            with lock: counts[what] += n
        def fail(what, why):
            with lock: failures.append(what + ": " + why)
        def connect(address, port):
            s = socket.create_connection((address, port), timeout=0.3 if endures else 10)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return s
        def ask(s):
            s.sendall(b"GET /ok HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
            heard = b""
            while b"\\r\\n\\r\\n" not in heard or not heard.endswith(b"ok"):
                more = s.recv(4096)
                if not more: return "closed after " + repr(heard[:80])
                heard += more
                if not heard.startswith(b"HTTP/1.1 200"[:len(heard)]): return repr(heard[:80])
            count("requests")
        def kept(name, address, port):
            try:
                s = connect(address, port)
                while not stopping():
                    why = ask(s)
                    if why: return fail(name + " kept", why)
                    time.sleep(0.005)
            except OSError as error: fail(name + " kept", repr(error))
        def fresh(name, address, port):
            last = time.monotonic()
            while not stopping():
                try:
                    with connect(address, port) as s: why = ask(s)
                except OSError as error: why = repr(error)
                now = time.monotonic()
                if why and not endures: return fail(name + " new", why)
                if not why:
                    gaps[name] = max(gaps.get(name, 0), now - last)
                    last = now
                time.sleep(0.005)
        def tunnel(name, address, port):
            try:
                s = connect(address, port)
                s.sendall(b"GET /ws HTTP/1.1\\r\\nHost: a\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n")
                stream = s.makefile("rb")
                if b" 101 " not in stream.readline(): return fail(name + " tunnel", "not changed")
                while stream.readline() not in (b"\\r\\n", b""): pass
                number = 0
                while not stopping():
                    number += 1
                    line = b"%d\\n" % number
                    s.sendall(line)
                    heard = stream.readline()
                    if heard != line: return fail(name + " tunnel", repr(heard))
                    count("echoes")
                    time.sleep(0.02)
            except OSError as error: fail(name + " tunnel", repr(error))
        def download(name, address, port):
            try:
                s = connect(address, port)
                s.sendall(("GET /long?=%s HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n" % directory).encode())
                heard = b""
                while not heard.endswith(b"0\\r\\n\\r\\n"):
                    more = s.recv(65536)
                    if not more: return fail(name + " download", "ended early")
                    count("octets", len(more))
                    heard = (heard + more)[-16:]
            except OSError as error: fail(name + " download", repr(error))
        threads = []
        for target in targets:
            address, port = target.split()
            roles = [fresh] if endures else [kept] * 3 + [fresh, tunnel, download]
            threads += [threading.Thread(target=role, args=(target, address, int(port))) for role in roles]
        for thread in threads: thread.start()
        open(directory + "/running", "w").close()
        while any(thread.is_alive() for thread in threads):
            with open(directory + "/answered.new", "w") as f: f.write(str(counts["requests"]))
            os.rename(directory + "/answered.new", directory + "/answered")
            time.sleep(0.02)
        print(json.dumps({**counts, "failures": failures, "gap": int(1000 * max(gaps.values(), default=0))}))

    if sys.argv[1] == "serve": serve(int(sys.argv[2]))
    else: load(sys.argv[2], sys.argv[3:], sys.argv[1] == "endure")
    """
}
