import NodeAPI
import Policy
import Threads

extension Agent {
  /// Takes the proxy's reports until the task is cancelled.
  func serveNames() async throws {
    let receiver = try NameReceiver(path: configuration.directory.proxy.nameSocket)
    defer { receiver.stop() }
    DetachedThread.start { [names] in receiver.run { await names.learn($0) } }
    while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
  }

  /// Every name with its addresses, and the patterns of policies that it matches.
  func nameModels() async -> [NameModel] {
    let names = await self.names.names
    let compiled = await policy.namePolicy
    return names.sorted { $0.key < $1.key }.map { name, addresses in
      NameModel(
        name: name, patterns: compiled.patterns(matching: name).map(\.text),
        addresses: addresses.sorted { $0.key < $1.key }.map { address, expires in
          NameModel.Address(
            address: address.description, expires: expires, identity: compiled[address]?.rawValue ?? 0)
        })
    }
  }
}
