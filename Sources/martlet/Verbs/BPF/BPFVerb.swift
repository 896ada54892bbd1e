import ArgumentParser

struct BPFVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bpf",
    abstract: "What the kernel holds, read from the pinned maps: works also while the agent is down.",
    discussion: "Example: martlet bpf ct list",
    subcommands: [ProgramList.self, MapList.self, PolicyMapList.self, IPCacheList.self, ConnectionList.self])
}
