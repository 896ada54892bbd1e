import CNI
import Files
import Glibc
import Logging
import Netlink

/// What a runtime that crashed has left on the machine.
struct Leftovers: Sendable {
  let context: PodContext

  /// Removes what belongs to none of the Pods; returns the records of those that do. Blocks.
  func clean(keeping uids: Set<String>) -> [PodRecord] {
    let logger = context.logger
    var kept: [PodRecord] = []
    do {
      let (records, broken) = try context.store.load()
      for path in broken {
        logger.error("\(path) can not be read; removing it")
        try StateFiles.remove(path)
      }
      for record in records {
        if uids.contains(record.uid) {
          kept.append(record)
          continue
        }
        logger.info("removing what is left of pod \(record.namespace)/\(record.name)")
        do {
          try context.sandbox.destroy(record)
          try context.store.remove(uid: record.uid)
          unlink(record.log)
        } catch {
          logger.warning("pod \(record.namespace)/\(record.name): \(error)")
        }
      }
      try sweep(keeping: kept)
    } catch {
      logger.error("leftovers of an earlier run: \(error)")
    }
    collectAttachments(keeping: kept)
    return kept
  }

  /// Cgroups and namespaces of this instance without a record.
  private func sweep(keeping records: [PodRecord]) throws {
    let cgroups = Set(records.map(\.cgroup))
    for name in try StateFiles.list(context.cgroups) {
      let path = "\(context.cgroups)/\(name)"
      // The folder's files are the kernel's; only groups have a cgroup.procs.
      guard StateFiles.exists(path + "/cgroup.procs"), !cgroups.contains(path) else { continue }
      try Cgroup(path: path).destroy()
    }
    let namespaces = Set(records.map(\.namespaceName))
    for name in try NetworkNamespace.names()
    where name.hasPrefix(context.configuration.namespacePrefix) && !namespaces.contains(name) {
      try NetworkNamespace.delete(named: name)
    }
  }

  /// Attachments that nobody will delete any more. Waits a little for the agent, without which no Pod could start
  /// either.
  private func collectAttachments(keeping records: [PodRecord]) {
    let folder = AttachmentStore.path(stateDirectory: context.configuration.stateDirectory)
    let wanted = Set(records.map { $0.sandbox.key.fileName })
    guard let names = try? StateFiles.list(folder), !wanted.isSuperset(of: names) else { return }
    for attempt in 0..<25 {
      do {
        return try context.sandbox.runner.collectGarbage(keeping: records.map(\.sandbox.key))
      } catch {
        if attempt == 24 { context.logger.warning("attachments of an earlier run: \(error)") }
        usleep(200_000)
      }
    }
  }
}
