import Addressing
import CNI
import Files
import Netlink

/// Making and removing what a Pod's process lives in: its network namespace, its interface and its cgroup. All of it
/// blocks, and all of it can be repeated.
struct PodSandbox: Sendable {
  let runner: CNIRunner
  let store: PodRecordStore

  /// Returns the addresses that CNI gave. A failure leaves what was made until then, for `destroy`.
  func create(_ record: PodRecord) throws(WorkloadError) -> [IPAddress] {
    // The record comes first: a crash from here on leaves something that tells what to clean up.
    do { try store.save(record) } catch { throw .file(error) }
    do throws(NetlinkError) {
      _ = try NetworkNamespace.create(named: record.namespaceName)
    } catch {
      throw .netlink(error)
    }
    do throws(FileError) { try Cgroup(path: record.cgroup).create() } catch { throw .file(error) }
    return try runner.add(record.sandbox).addresses.map(\.address)
  }

  /// Kills what still runs, gives the addresses back and removes everything but the record. The first error is told after
  /// all steps were tried.
  func destroy(_ record: PodRecord) throws(WorkloadError) {
    var failure: WorkloadError?
    do throws(FileError) { try Cgroup(path: record.cgroup).destroy() } catch { failure = .file(error) }
    do throws(WorkloadError) { try runner.delete(record.sandbox) } catch { failure = failure ?? error }
    do throws(NetlinkError) {
      try NetworkNamespace.delete(named: record.namespaceName)
    } catch {
      failure = failure ?? .netlink(error)
    }
    if let failure { throw failure }
  }
}

extension PodRecord {
  /// The last step of the namespace's path.
  var namespaceName: String { netns.split(separator: "/").last.map(String.init) ?? netns }
}
