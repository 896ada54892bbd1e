import Glibc
import JSON

/// A program that says its name to whoever asks, and asks whom it is told to ask, from where it runs.
///
///     prober.py SOCKET NAME [stays] [tcp=PORT,…] [udp=PORT,…]
///
/// It takes commands on a Unix socket, one JSON object a line, and answers each with one. One that `stays`
/// serves on after SIGTERM, as a pod does that uses its grace period.
enum ServiceProber {
  static func write(to path: String) throws { try EndToEndTests.write(source, to: path) }

  /// Sends one command and returns its answer.
  static func tell(_ socketPath: String, _ command: JSONValue) throws -> JSONValue {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw Failure("socket: \(String(cString: strerror(errno)))") }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) {
      $0.copyBytes(from: socketPath.utf8CString.map(UInt8.init(bitPattern:)))
    }
    let connected = withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { throw Failure("\(socketPath): \(String(cString: strerror(errno)))") }
    let line = Array((command.text() + "\n").utf8)
    guard Glibc.write(descriptor, line, line.count) == line.count else { throw Failure("\(socketPath) is gone") }
    var heard: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while heard.last != UInt8(ascii: "\n") {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      guard count > 0 else { throw Failure("\(socketPath) does not answer to \(command.text())") }
      heard += buffer[..<count]
    }
    return try JSONValue(parsing: String(decoding: heard, as: UTF8.self))
  }

  private static let source = """
    import errno, json, os, signal, socket, sys, threading, time

    PATH, NAME = sys.argv[1:3]
    KINDS = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    signal.signal(signal.SIGTERM, signal.SIG_IGN if "stays" in sys.argv[3:] else lambda *_: os._exit(0))
    kept, listening = {}, {}

    # Serving: each line, datagram or HTTP request is answered with this program's name and the client's address.

    def word(peer):
        return NAME + " " + peer[0].removeprefix("::ffff:")

    def converse(connection, peer):
        try:
            stream = connection.makefile("rwb")
            for line in stream:
                if b" HTTP/1." not in line:
                    stream.write((word(peer) + "\\n").encode())
                else:
                    while stream.readline().strip(): pass
                    body = word(peer).encode()
                    stream.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(body), body))
                stream.flush()
        except OSError: pass
        finally: connection.close()

    def accept(listener):
        while True:
            try: connection, peer = listener.accept()
            except OSError: return
            threading.Thread(target=converse, args=(connection, peer), daemon=True).start()

    def echo(talker):
        while True:
            # The control message is IP_PKTINFO or IPV6_PKTINFO: answers come from where was asked.
            try: heard, control, _, peer = talker.recvmsg(65535, 64)
            except OSError: continue
            talker.sendmsg([word(peer).encode().ljust(len(heard))], control, 0, peer)

    def listen(kind, port):
        for family in (socket.AF_INET, socket.AF_INET6):
            opened = socket.socket(family, KINDS[kind])
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6: opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == "udp":
                opened.setsockopt(*((socket.IPPROTO_IP, 8) if family == socket.AF_INET else (socket.IPPROTO_IPV6, 49)), 1)
            opened.bind(("", port))
            if kind == "tcp": opened.listen(512)
            listening.setdefault((kind, port), []).append(opened)
            threading.Thread(target=accept if kind == "tcp" else echo, args=(opened,), daemon=True).start()

    # Asking.

    def failure(error):
        if isinstance(error, TimeoutError): return "ETIMEDOUT"
        return errno.errorcode.get(error.errno, str(error)) if getattr(error, "errno", None) else str(error)

    def target(told):
        \"\"\"The family of the socket, and where it sends: IPv4 also from a socket of IPv6.\"\"\"
        address = told["address"]
        if ":" in address: return socket.AF_INET6, (address, told["port"])
        if told.get("mapped"): return socket.AF_INET6, ("::ffff:" + address, told["port"])
        return socket.AF_INET, (address, told["port"])

    class Client:
        \"\"\"`unconnected`: a UDP socket that is told the address with each datagram.\"\"\"
        def __init__(self, told):
            family, self.to = target(told)
            self.tcp, self.unconnected = told["protocol"] == "tcp", told.get("unconnected")
            self.socket = socket.socket(family, KINDS[told["protocol"]])
            self.socket.settimeout(told.get("timeout", 3))
            self.question = b"who\\n".rjust(told.get("size", 0))
            try:
                if "sourcePort" in told: self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if "source" in told: self.socket.bind((told["source"], told.get("sourcePort", 0)))
                if "hops" in told:
                    level, option = (socket.IPPROTO_IP, socket.IP_TTL) if family == socket.AF_INET \
                        else (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
                    self.socket.setsockopt(level, option, told["hops"])
                if not self.unconnected: self.socket.connect(self.to)
            except OSError:
                self.socket.close()
                raise

        def peer(self):
            return self.socket.getpeername()[0].removeprefix("::ffff:"), self.socket.getpeername()[1]

        def say(self, path=None, method="GET"):
            \"\"\"Who answers, and the address at which that one sees this client; and from where the answer came.\"\"\"
            if self.unconnected:
                self.socket.sendto(self.question, self.to)
                heard, source = self.socket.recvfrom(65535)
                return heard.decode().split(), (source[0].removeprefix("::ffff:"), source[1])
            if not path:
                self.socket.sendall(self.question)
                heard = self.socket.recv(65535)
                if not heard: raise ConnectionResetError("closed")
                return heard.decode().split(), self.peer()
            self.socket.send(f"{method} {path} HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n".encode())
            heard = self.socket.recv(4096)
            if not heard: raise ConnectionResetError("closed")
            status, _, rest = heard.decode().partition("\\r\\n")
            if status.split()[1] != "200": return [status.split()[1], ""], self.peer()
            return rest.partition("\\r\\n\\r\\n")[2].split(), self.peer()

        def close(self): self.socket.close()

    def ask(told):
        \"\"\"`times`: so often; `seconds`: as long; `same`: by one socket.\"\"\"
        answers, peers, clients, slowest, client = {}, set(), set(), 0, None
        begun, count = time.monotonic(), 0
        while count < told.get("times", 1) or time.monotonic() - begun < told.get("seconds", 0):
            count += 1
            start = time.monotonic()
            try:
                client = client or Client(told)
                (name, seen), peer = client.say(told.get("path"), told.get("method", "GET"))
                peers.add("%s %d" % peer)
                clients.add(seen)
            except (OSError, ValueError, IndexError) as error: name = failure(error)
            answers[name] = answers.get(name, 0) + 1
            slowest = max(slowest, time.monotonic() - start)
            if client and not told.get("same"): client = client.close()
            if "pause" in told: time.sleep(told["pause"])
        if client: client.close()
        return {"answers": answers, "peers": sorted(peers), "clients": sorted(clients), "slowest": int(slowest * 1000)}

    # Clients that are kept, by names of the caller's.

    def open_client(told):
        kept[told["id"]] = Client(told)
        return {"peer": "%s %d" % kept[told["id"]].peer()} if not told.get("unconnected") else {}

    def say(told):
        client = kept[told["id"]]
        client.socket.settimeout(told.get("timeout", 3))
        (name, seen), peer = client.say()
        return {"answer": name, "client": seen, "peer": "%s %d" % peer}

    def wait(told):
        \"\"\"Until something ends the connection, in another's stead: `error` says what.\"\"\"
        client, start = kept[told["id"]], time.monotonic()
        client.socket.settimeout(told.get("timeout", 10))
        try: outcome = "data" if client.socket.recv(4096) else "closed"
        except OSError as error: outcome = failure(error)
        return {"answer": outcome, "milliseconds": int((time.monotonic() - start) * 1000)}

    def close_client(told):
        kept.pop(told["id"]).close()
        return {}

    def start_listening(told):
        listen(told["protocol"], told["port"])
        return {}

    COMMANDS = {"ask": ask, "open": open_client, "say": say, "wait": wait, "close": close_client,
                "listen": start_listening}

    def obey(connection):
        stream = connection.makefile("rw")
        for line in stream:
            told = json.loads(line)
            try: answer = COMMANDS[told["do"]](told)
            except OSError as error: answer = {"error": failure(error)}
            stream.write(json.dumps(answer) + "\\n")
            stream.flush()

    for word_ in sys.argv[3:]:
        if word_ == "stays": continue
        kind, ports = word_.split("=")
        for port in ports.split(","): listen(kind, int(port))
    control = socket.socket(socket.AF_UNIX)
    control.bind(PATH + ".new")
    control.listen(16)
    os.rename(PATH + ".new", PATH)
    while True:
        threading.Thread(target=obey, args=(control.accept()[0],), daemon=True).start()

    """
}
