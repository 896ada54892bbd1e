import Glibc
import JSON
import Testing

private let turned = """
  apiVersion: v1
  kind: Service
  metadata: {name: turned}
  spec:
    type: NodePort
    ipFamilyPolicy: RequireDualStack
    ports:
      - {name: http, port: 80, nodePort: 30480}
      - {name: dns, port: 53, protocol: UDP, nodePort: 30453}
  """

extension EndToEnd {
  /// Clients outside whose backend is outside too, turned round by XDP.
  @Suite(.serialized) struct XDPTests {
    /// Client and backend are in the world, whose packets must have their checksums, as those of other machines do.
    private func with(_ mode: String, _ body: (Node) throws -> Void) throws {
      try Node.with(["--device", "world", "--load-balancer-acceleration", mode]) { node in
        try node.worldIsAnotherMachine()
        node.keepUntilStop(try node.startProber(at: .world, tcp: [7000], udp: [7000]))
        let slices = try Family.allCases.map { family in
          ServiceManifests.slice(
            "turned", of: "turned", family, port: 7000,
            [.init(address: try node.address(of: .farWorld, family), node: "elsewhere")])
        }
        try node.apply(ServiceManifests.documents([turned] + slices))
        try node.waitForService("turned", backends: 1)
        try body(node)
      }
    }

    @Test func `packets turn round before there is a socket buffer`() throws {
      try with("generic") { node in
        for family in Family.allCases {
          let address = try node.address(of: .host, family)
          for (port, transport) in [(30480, Transport.tcp), (30453, .udp), (30453, .datagrams)] {
            let before = try node.sentOnByXDP()
            let tally = try node.ask(address, port, transport, from: .world, times: 50, ["size": 1200])
            #expect(tally.answers == ["world": 50], "\(family) \(transport): \(tally)")
            #expect(tally.clients == [address], "\(family) \(transport): \(tally)")
            #expect(tally.peers == ["\(address) \(port)"], "\(family) \(transport): \(tally)")
            // The first packet to a neighbour may be left to traffic control.
            let packets = transport.isTCP ? 50.0 * 7 : 50 * 2
            #expect(try node.sentOnByXDP() - before >= packets - 4, "\(family) \(transport)")
          }
          // Fragments are left to traffic control.
          let large = try node.ask(address, 30453, .udp, from: .world, times: 10, ["size": 4000])
          #expect(large.answers == ["world": 10], "\(family): \(large)")
        }
        let flows = try node.martlet("observe", "--service", "turned", "--last", "10").output
        #expect(flows.contains("via default/turned:53 ingress UDP"), "\(flows)")
        let status = try node.martlet("status")
        #expect(status.status == 0 && status.text.contains("XDP generic on world"), "\(status)")
        let programs = try node.martlet("bpf", "prog", "list", "-o", "json").json().arrayValue ?? []
        let program = programs.first { $0["name"] == "from_wire" }
        #expect(program?["attached"] == ["world"], "\(programs)")
      }
    }

    /// kill -9 under load, and the program taken off: no connection fails, and the program comes back.
    @Test func `the agent dies and the program is taken off`() throws {
      try with("generic") { node in
        let address = try node.address(of: .host, .ipv4)
        let kept = try node.keep(address, 30480, from: .world, id: "kept")
        let question: JSONValue = [
          "do": "ask", "address": .string(address), "port": 30480, "protocol": "tcp", "seconds": 4, "pause": 0.002,
        ]
        let file = node.directory + "/load"
        let script = """
          import socket, sys
          prober = socket.socket(socket.AF_UNIX)
          prober.connect(sys.argv[1])
          prober.sendall(sys.argv[2].encode() + b"\\n")
          print(prober.makefile().readline())
          """
        let load = try Child(["python3", "-c", script, node.prober(.world), question.text()], output: file)
        let agent = try #require(node.pid(of: "agent"))
        kill(agent, SIGKILL)
        let again = try eventually(within: 20) {
          try node.pid(of: "agent") != agent && node.martlet("status").status == 0
        }
        #expect(again)
        load.wait()
        let tally = try Tally(JSONValue(parsing: read(file)))
        #expect(tally.names == ["world"] && tally.count > 100, "\(tally)")
        #expect(try kept.say() == "world")
        let before = try node.sentOnByXDP()
        #expect(try kept.say() == "world" && node.sentOnByXDP() > before)

        let repairs = "martlet_datapath_repairs_total{part=\"device_programs\"}"
        let repaired = try node.metrics(9962)[repairs] ?? 0
        let id = try #require(try node.xdpLink())
        try must(["bpftool", "link", "detach", "id", id])
        #expect(try kept.say() == "world")
        #expect(try eventually(within: 25) { try node.metrics(9962)[repairs] ?? 0 > repaired })
        #expect(try node.xdpLink() != nil && node.martlet("status").text.contains("XDP generic on world"))
      }
    }

    /// Where the driver of the world's device can not be relied on, all goes as without.
    @Test func `best effort leaves out a veth`() throws {
      try with("best-effort") { node in
        let tally = try node.ask(try node.address(of: .host, .ipv4), 30480, from: .world, times: 20)
        #expect(tally.answers == ["world": 20], "\(tally)")
        #expect(try node.sentOnByXDP() == 0 && node.xdpLink() == nil)
        let status = try node.martlet("status")
        #expect(status.status == 0 && status.text.contains("XDP not on world: "), "\(status)")
      }
    }
  }
}

extension Node {
  fileprivate func sentOnByXDP() throws -> Double { try metrics(9962)["martlet_xdp_forward_count_total"] ?? 0 }

  /// The number of the link by which the device to the world has a program.
  fileprivate func xdpLink() throws -> String? {
    let shown = try must(["ip", "-n", name, "-j", "-d", "link", "show", "dev", "world"]).json()
    guard let program = shown.arrayValue?.first?[path: "xdp", "prog", "id"]?.integerValue else { return nil }
    let links = try must(["bpftool", "-j", "link", "show"]).json().arrayValue ?? []
    return links.first { $0["prog_id"]?.integerValue == program }?["id"]?.integerValue.map { "\($0)" }
  }

  /// The world's packets leave with their checksums.
  fileprivate func worldIsAnotherMachine() throws {
    let script = """
      import array, fcntl, socket, struct
      some = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
      asked = array.array("B", struct.pack("II", 0x17, 0))  # ETHTOOL_STXCSUM
      fcntl.ioctl(some, 0x8946, struct.pack("16sP16x", b"node", asked.buffer_info()[0]))
      """
    try must(["ip", "netns", "exec", name + "w", "python3", "-c", script])
  }
}
