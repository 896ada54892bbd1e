import Testing

extension EndToEnd {
  @Suite(.serialized) struct NATPortTests {
    /// Eight ports: the ninth client waits in vain, the others notice nothing, and who has ended makes room.
    @Test func `source ports run out`() throws {
      let arguments = ["--device", "world", "--nat-port-range", "20000-20007"]
      try Node.with(arguments) { node in
        node.keepUntilStop(try node.startProber(at: .world, tcp: [7000]))
        let slices = try Family.allCases.map { family in
          ServiceManifests.slice(
            "abroad", of: "abroad", family, port: 7000,
            [.init(address: try node.address(of: .farWorld, family), node: "elsewhere")])
        }
        try node.apply(ServiceManifests.documents([ServiceManifests.outside] + slices))
        try node.waitForService("abroad", backends: 1)
        for family in Family.allCases {
          let address = try node.address(of: .host, family)
          var kept = try (0..<8).map { try node.keep(address, 30280, from: .world, id: "\(family) \($0)") }
          let refused = try node.ask(address, 30280, from: .world, ["timeout": 0.5])
          #expect(refused.names == ["ETIMEDOUT"], "\(refused)")
          let told = try eventually(within: 20) {
            try node.martlet("observe", "--drop-reason", "NO_MAPPING_FOR_NAT_MASQUERADE", "--last", "100").output
              .contains("via default/abroad:80")
          }
          #expect(told)
          #expect(try Set(kept.map { try $0.say() }) == ["world"])
          kept.removeLast(4)
          let tally = try node.ask(address, 30280, from: .world, times: 20)
          #expect(tally.names == ["world"], "\(tally)")
          #expect(try Set(kept.map { try $0.say() }) == ["world"])
        }
      }
    }

    @Test func `ports that are the node's own are told of`() throws {
      try Node.with(["--device", "world", "--nat-port-range", "40000-40999"]) { node in
        let status = try node.martlet("status")
        #expect(status.status == 0 && status.text.contains("but NAT ports 40000-40999 overlap with"), "\(status)")
      }
    }
  }
}
