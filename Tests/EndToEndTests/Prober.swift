import JSON

/// A program that answers on the ports of the truth tests, in a pod or in the world, and sends from there what it is
/// asked to send.
///
///     prober.py serve SOCKET    answers and sends until it is ended
///     prober.py ask             reads questions, one JSON object a line, has them sent all at once and prints outcomes
enum Prober {
  static let tcpPorts = [80, 81, 9080]
  /// The first one is a name server's.
  static let udpPorts = [53, 5000]

  /// What became of a packet and what was said with it.
  enum Outcome: String {
    /// Answered by the server.
    case allowed
    /// Answered by the proxy in its place.
    case refused
    /// Not answered.
    case silent
  }

  static func write(to path: String) throws { try EndToEndTests.write(source, to: path) }

  /// - Parameter questions: with `via`, the socket of the one who sends.
  static func ask(_ questions: [JSONValue], program: String) throws -> [Outcome] {
    guard !questions.isEmpty else { return [] }
    let text = questions.map { $0.text() + "\n" }.joined()
    let outcome = try must(["python3", program, "ask"], stdin: text)
    return try outcome.output.split(separator: "\n").map { line in
      guard let outcome = Outcome(rawValue: String(line)) else { throw Failure("the prober said \(line)") }
      return outcome
    }
  }

  private static let source = """
    import json, os, select, socket, struct, sys, threading

    TCP, UDP = \(tcpPorts), \(udpPorts)
    FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}

    def say(connection):
        try:
            connection.settimeout(5)
            heard = b""
            while b"\\r\\n\\r\\n" not in heard:
                more = connection.recv(4096)
                if not more: return
                heard += more
            connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
        except OSError: pass
        finally: connection.close()

    def serve(path):
        listeners, talkers = [], []
        for family in FAMILIES.values():
            for kind, ports in ((socket.SOCK_STREAM, TCP), (socket.SOCK_DGRAM, UDP)):
                for port in ports:
                    opened = socket.socket(family, kind)
                    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6: opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    opened.bind(("", port))
                    if kind == socket.SOCK_STREAM: opened.listen(64)
                    (listeners if kind == socket.SOCK_STREAM else talkers).append(opened)
        control = socket.socket(socket.AF_UNIX)
        control.bind(path)
        control.listen(8)
        while True:
            for ready in select.select(listeners + talkers + [control], [], [])[0]:
                if ready in talkers:
                    data, peer = ready.recvfrom(4096)
                    # The answer of a name server that knows nothing of the name.
                    if ready.getsockname()[1] == 53: data = data[:2] + b"\\x81\\x80" + data[4:6] + bytes(6) + data[12:]
                    ready.sendto(data, peer)
                    continue
                connection = ready.accept()[0]
                threading.Thread(target=send if ready is control else say, args=(connection,), daemon=True).start()

    def send(connection):
        stream = connection.makefile("rw")
        questions = json.loads(stream.readline())
        outcomes = [None] * len(questions)
        def one(index):
            try: outcomes[index] = KINDS[questions[index]["protocol"]](questions[index])
            except OSError: outcomes[index] = "silent"
        threads = [threading.Thread(target=one, args=(index,)) for index in range(len(questions))]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        stream.write(json.dumps(outcomes) + "\\n")
        stream.flush()

    def opened(question, kind, protocol=0):
        made = socket.socket(FAMILIES[question["family"]], kind, protocol)
        made.settimeout(question["timeout"])
        return made

    def tcp(question):
        with opened(question, socket.SOCK_STREAM) as made:
            made.connect((question["address"], question["port"]))
            made.settimeout(5)
            line = question["method"] + " " + question["path"] + " HTTP/1.1"
            made.sendall((line + "\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n").encode())
            status = made.recv(64).split(b" ")[1:2]
            return {b"200": "allowed", b"403": "refused"}.get(status[0] if status else b"", "silent")

    def udp(question):
        with opened(question, socket.SOCK_DGRAM) as made:
            made.connect((question["address"], question["port"]))
            if "query" not in question:
                made.send(b"ping")
                return "allowed" if made.recv(64) == b"ping" else "silent"
            name = b"".join(bytes([len(label)]) + label.encode() for label in question["query"].split("."))
            made.send(os.urandom(2) + b"\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0" + name + b"\\0\\0\\x01\\0\\x01")
            return {0: "allowed", 5: "refused"}.get(made.recv(512)[3] & 15, "silent")

    def icmp(question):
        four = question["family"] == "4"
        protocol = socket.IPPROTO_ICMP if four else socket.IPPROTO_ICMPV6
        with opened(question, socket.SOCK_RAW, protocol) as made:
            number = os.urandom(2)
            packet = bytes([question["port"], 0, 0, 0]) + number + bytes([0, 1] + [0] * 12)
            if four:
                total = sum(struct.unpack("!10H", packet))
                while total >> 16: total = (total & 0xFFFF) + (total >> 16)
                packet = packet[:2] + struct.pack("!H", ~total & 0xFFFF) + packet[4:]
            made.connect((question["address"], 0))
            made.send(packet)
            while True:
                heard = made.recv(512)
                if four: heard = heard[(heard[0] & 15) * 4:]
                if heard[0] == question["port"] + 1 or heard[0] == {8: 0}.get(question["port"]):
                    if heard[4:6] == number: return "allowed"

    KINDS = {"TCP": tcp, "UDP": udp, "ICMP": icmp, "ICMPv6": icmp}

    def ask():
        questions = [json.loads(line) for line in sys.stdin]
        outcomes = [None] * len(questions)
        senders = {}
        for index, question in enumerate(questions): senders.setdefault(question["via"], []).append(index)
        waiting = []
        for path, indices in senders.items():
            sender = socket.socket(socket.AF_UNIX)
            sender.connect(path)
            sender.sendall((json.dumps([questions[index] for index in indices]) + "\\n").encode())
            waiting.append((sender, indices))
        for sender, indices in waiting:
            for index, outcome in zip(indices, json.loads(sender.makefile().readline())): outcomes[index] = outcome
        print("\\n".join(outcomes))

    serve(sys.argv[2]) if sys.argv[1] == "serve" else ask()

    """
}
