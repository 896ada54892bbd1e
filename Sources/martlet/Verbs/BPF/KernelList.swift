import ArgumentParser
import BPF
import Datapath
import Host
import JSON

/// A verb that lists a kind of what the kernel holds.
protocol KernelList: ParsableCommand {
  associatedtype Row

  var options: KernelListOptions { get }

  func rows() throws -> [Row]
  static func document(_ row: Row) -> JSONValue
  static func table(_ rows: [Row], wide: Bool) -> Table
}

extension KernelList {
  func run() throws {
    let rows: [Row]
    do { rows = try self.rows() } catch let error as BPFError {
      complain("\(error)")
      complain(
        "must run as root where the instance's maps are pinned; --state-dir or $MARTLET_STATE_DIR names the instance")
      throw Exit.unreachable
    }
    options.output.print(.array(rows.map(Self.document))) { wide in Self.table(rows, wide: wide).text }
  }

  /// Of a verb that is called `bpf NAME list`.
  static func list(_ name: String, _ abstract: String, example: String = "") -> CommandConfiguration {
    CommandConfiguration(
      commandName: name, abstract: abstract, discussion: "Example: martlet bpf \(name) list\(example)")
  }
}

/// What can be done with a kind of the kernel's tables.
enum ListVerb: String, ExpressibleByArgument, CaseIterable { case list }

struct KernelListOptions: ParsableArguments {
  @OptionGroup var instance: InstanceOptions
  @OptionGroup var output: OutputOptions
  @Argument(help: "list") var verb = ListVerb.list

  /// Where the instance's maps are pinned, through the root of `martlet up`, whose mount namespace may be another one.
  var pins: DatapathPins {
    let directory = instance.directory
    let root = directory.runningHost.map { "/proc/\($0)/root" } ?? ""
    return DatapathPins(root: root + directory.pins)
  }
}
