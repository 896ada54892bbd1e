import Glibc
import JSON
import Testing

extension EndToEnd {
  /// Two nodes and a client on one segment: the client asks the first, a pod of the second answers.
  @Suite(.serialized) struct DirectReturnTests {
    private func with(_ mode: String, _ body: (TwoNodes) throws -> Void) throws {
      try TwoNodes.with(["--load-balancer-mode", mode]) { nodes in
        let (first, second) = (nodes.first, nodes.second)
        try second.runProber("server", labels: "app=server", tcp: [8080], udp: [8080])
        let slices = try Family.allCases.flatMap { family in
          let endpoint = ServiceManifests.Endpoint(
            address: try second.address(of: "server", family), node: second.name)
          return [
            ServiceManifests.slice("direct", of: "direct", family, port: 8080, [endpoint]),
            ServiceManifests.slice("silent", of: "silent", family, port: 9, [endpoint]),
          ]
        }
        for node in [first, second] {
          try node.apply(ServiceManifests.documents([services] + slices))
          for service in ["direct", "silent"] { try node.waitForService(service, backends: 1) }
        }
        try second.know(other: first.name, at: Family.allCases.map { nodes.address(ofNode: 1, $0) })
        for family in Family.allCases {
          let answers = try eventually(within: 10) {
            try nodes.ask("tcp", family, 30480, times: 1).hasPrefix("server ")
          }
          guard answers else { throw Failure("\(family): nobody answers\n\(first.log)\n\(second.log)") }
        }
        try body(nodes)
      }
    }

    @Test(arguments: ["dsr", "hybrid"]) func `a pod of another node answers the client itself`(_ mode: String) throws {
      try with(mode) { nodes in
        for family in Family.allCases {
          let (node, client) = (nodes.address(ofNode: 1, family), nodes.clientAddress(family))
          for (kind, port) in [("tcp", 30480), ("udp", 30453), ("datagrams", 30453)] {
            let seen = kind != "tcp" && mode == "hybrid" ? node : client
            #expect(try nodes.ask(kind, family, port) == "server \(seen) from \(node) \(port) 20", "\(family) \(kind)")
          }
        }
        let status = try nodes.first.martlet("status").text
        #expect(status.contains("mode \(mode)"), "\(status)")
        let flows = try nodes.first.martlet("observe", "--service", "direct", "--last", "10").output
        #expect(flows.contains("via default/direct:"), "\(flows)")
        // Both know the connections, and neither sees both directions of them.
        for node in [nodes.first, nodes.second] {
          let all = try node.martlet("bpf", "nat", "list", "-o", "json").json().arrayValue ?? []
          let direct = all.filter { $0["serviceName"] == "default/direct" && $0["protocol"] == "TCP" }
          #expect(!direct.isEmpty, "\(all)")
          for entry in direct {
            #expect(entry["state"]?.stringValue?.hasPrefix("one-way,") == true, "\(entry.text())")
            #expect(entry["source"] == entry["newSource"], "\(entry.text())")
          }
        }
      }
    }

    @Test func `what has no room for the service's address`() throws {
      try with("dsr") { nodes in
        for family in Family.allCases {
          let (node, client) = (nodes.address(ofNode: 1, family), nodes.clientAddress(family))
          let full = family == .ipv4 ? 1472 : 1452
          for size in [full, 4000] {
            // A connection that begins so, and one that does not.
            let first = try nodes.ask("udp", family, 30453, times: 5, sizes: [size])
            #expect(first == "server \(node) from \(node) 30453 5", "\(family) \(size)")
            let later = try nodes.ask("udp", family, 30453, times: 5, sizes: [10, size, 10])
            #expect(later == "server \(client) from \(node) 30453 15", "\(family) \(size)")
          }
          // Nobody listens: the pod says so, in the name of who was asked.
          #expect(try nodes.ask("udp", family, 30409, times: 3) == "ConnectionRefusedError 3", "\(family)")
          #expect(try nodes.ask("tcp", family, 30408, times: 3) == "ConnectionRefusedError 3", "\(family)")
        }
      }
    }

    @Test func `connections outlive the agents, and begin without them`() throws {
      try with("dsr") { nodes in
        let kept = nodes.first.directory + "/kept"
        var asking: [Child] = []
        for family in Family.allCases {
          for (kind, port) in [("tcp", 30480), ("udp", 30453)] {
            asking.append(
              try nodes.startOnClient(
                program, [kind, nodes.address(ofNode: 1, family), "\(port)", "300", "10", "0.02"],
                output: kept + "-\(family)-\(kind)"))
          }
        }
        usleep(500_000)
        for node in [nodes.first, nodes.second] { kill(try #require(node.pid(of: "agent")), SIGKILL) }
        for family in Family.allCases {
          let expected =
            "server \(nodes.clientAddress(family)) from \(nodes.address(ofNode: 1, family))"
          for (kind, port) in [("tcp", 30480), ("udp", 30453)] {
            #expect(try nodes.ask(kind, family, port) == "\(expected) \(port) 20", "\(family) \(kind)")
          }
        }
        for child in asking { #expect(child.wait() == 0) }
        for family in Family.allCases {
          for (kind, port) in [("tcp", 30480), ("udp", 30453)] {
            let answers = read(kept + "-\(family)-\(kind)").trimmed
            let expected =
              "server \(nodes.clientAddress(family)) from \(nodes.address(ofNode: 1, family)) \(port) 300"
            #expect(answers == expected, "\(family) \(kind)")
          }
        }
        for node in [nodes.first, nodes.second] {
          #expect(try eventually(within: 15) { try node.martlet("status").status == 0 })
        }
      }
    }

    /// The client itself tells the second node of services; only what is behind the service answers in its name.
    @Test func `nobody outside chooses in whose name a pod answers`() throws {
      try with("dsr") { nodes in
        for family in Family.allCases {
          let pod = try nodes.second.address(of: "server", family)
          for (told, port, answers) in [
            (nodes.address(ofNode: 1, family), 30480, true), (nodes.address(ofNode: 1, family), 30481, false),
            (family == .ipv4 ? "198.51.100.9" : "2001:db8:bad::9", 80, false),
            (nodes.clientAddress(family), 30480, false),
          ] {
            let heard = try nodes.onClient(telling, [pod, "8080", told, "\(port)"]).text
            #expect(heard == (answers ? "\(told) \(port)" : "nothing"), "\(family): \(told) \(port)")
          }
        }
        let drops = try nodes.second.martlet(
          "observe", "--drop-reason", "NO_MAPPING_FOR_NAT_MASQUERADE", "--last", "50"
        ).output
        #expect(drops.contains("198.18.0.3"), "\(drops)")
      }
    }
  }
}

extension TwoNodes {
  /// Asks the NodePort at the first node's address: who answers whom, and from where, and how often.
  fileprivate func ask(_ kind: String, _ family: Family, _ port: Int, times: Int = 20, sizes: [Int] = [4]) throws
    -> String
  {
    // One socket for all sizes, and one for each time.
    let sizes = sizes.map(String.init).joined(separator: ",")
    return try onClient(program, [kind, address(ofNode: 1, family), "\(port)", "\(times)", sizes, "new"]).text
  }
}

private let services = """
  apiVersion: v1
  kind: Service
  metadata: {name: direct}
  spec:
    type: NodePort
    ipFamilyPolicy: RequireDualStack
    ports:
      - {name: http, port: 80, nodePort: 30480}
      - {name: dns, port: 53, protocol: UDP, nodePort: 30453}
  ---
  apiVersion: v1
  kind: Service
  metadata: {name: silent}
  spec:
    type: NodePort
    ipFamilyPolicy: RequireDualStack
    ports:
      - {name: http, port: 80, nodePort: 30408}
      - {name: dns, port: 53, protocol: UDP, nodePort: 30409}
  """

/// KIND ADDRESS PORT TIMES SIZES PAUSE: asks with questions of these sizes, by a socket for each time (`new`) or by one, with
/// pauses in seconds, and says how often which answer came.
private let program = """
  import collections, socket, sys, time
  kind, address, port, times, sizes, pause = sys.argv[1:]
  answers = collections.Counter()
  family = socket.AF_INET6 if ":" in address else socket.AF_INET
  some = None
  for _ in range(int(times)):
      for size in sizes.split(","):
          question = b"who\\n".rjust(int(size))
          try:
              if not some:
                  some = socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
                  some.settimeout(2)
                  if kind != "datagrams": some.connect((address, int(port)))
              if kind == "datagrams": some.sendto(question, (address, int(port)))
              else: some.sendall(question)
              heard, peer = some.recvfrom(65535)
              if kind != "datagrams": peer = some.getpeername()
              answers["%s from %s %d" % (heard.decode().strip(), peer[0], peer[1])] += 1
          except OSError as error: answers[type(error).__name__] += 1
      if pause == "new":
          some.close()
          some = None
      else: time.sleep(float(pause))
  print(*(f"{answer} {count}" for answer, count in answers.items()))
  """

/// ADDRESS PORT SERVICE PORT: a SYN to a pod that says which service was asked, and from where an answer to it comes.
private let telling = """
  import os, select, socket, struct, sys
  pod, port, service, asked = sys.argv[1:]
  six = ":" in pod
  family = socket.AF_INET6 if six else socket.AF_INET
  client = socket.socket(family, socket.SOCK_STREAM)
  packed = socket.inet_pton(family, service)
  if six: client.setsockopt(socket.IPPROTO_IPV6, 59, bytes([0, 2, 0x1b, 20]) + packed + struct.pack("!HH", int(asked), 0))
  else: client.setsockopt(socket.IPPROTO_IP, 4, bytes([0x9a, 8]) + struct.pack("!H", int(asked)) + packed)
  listener = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_TCP)
  client.bind(("::" if six else "0.0.0.0", 0))
  own = client.getsockname()[1]
  client.setblocking(False)
  client.connect_ex((pod, int(port)))
  heard = "nothing"
  while select.select([listener], [], [], 1.5)[0]:
      packet, peer = listener.recvfrom(2048)
      if not six: packet = packet[(packet[0] & 15) * 4:]
      source, destination = struct.unpack("!HH", packet[:4])
      if destination == own and packet[13] & 18 == 18:
          heard = "%s %d" % (peer[0], source)
          break
  print(heard)
  """
