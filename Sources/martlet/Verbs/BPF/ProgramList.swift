import ArgumentParser
import BPF
import Datapath
import JSON

struct ProgramList: KernelList {
  static let configuration = list("prog", "The loaded programs.")

  @OptionGroup var options: KernelListOptions

  func rows() throws -> [(info: ProgramInfo, devices: [String])] {
    let pins = options.pins
    let attached = try pins.attachments()
    return try pins.loadedPrograms().map { program in
      (info: try program.info(), devices: attached.filter { $0.programID == program.id }.map(\.device).sorted())
    }
  }

  static func document(_ row: (info: ProgramInfo, devices: [String])) -> JSONValue {
    [
      "id": .integer(Int64(row.info.id)), "type": .string(row.info.type.description),
      "name": .string(row.info.name), "attached": .array(row.devices.map(JSONValue.string)),
      "verifiedInstructions": .integer(Int64(row.info.verifiedInstructions)),
      "jitedBytes": .integer(Int64(row.info.jitedSize)), "runCount": .integer(Int64(row.info.runCount)),
      "runTimeNanoseconds": .integer(Int64(row.info.runTimeNanoseconds)),
    ]
  }

  static func table(_ rows: [(info: ProgramInfo, devices: [String])], wide: Bool) -> Table {
    var table = Table("ID", "TYPE", "NAME", "VERIFIED", "JITED", "RUNS", "RUN TIME", "ATTACHED")
    for row in rows {
      let devices =
        wide || row.devices.count <= 3
        ? row.devices.joined(separator: ",")
        : "\(row.devices.prefix(3).joined(separator: ",")),… (\(row.devices.count))"
      table.add(
        String(row.info.id), row.info.type.description, row.info.name, String(row.info.verifiedInstructions),
        "\(row.info.jitedSize)B", String(row.info.runCount), "\(row.info.runTimeNanoseconds)ns", devices)
    }
    return table
  }
}
