import CNI
import JSON
import Logging

/// The controllers of a node's Pods, and what becomes of leftovers without a Pod.
actor PodTable {
  private struct Entry {
    let controller: PodController
    let task: Task<Void, Never>
  }

  private let context: PodContext
  private var entries: [String: Entry] = [:]
  private var hasStarted = false
  private var isStopping = false
  /// What an earlier runtime left, until its Pod turns up.
  private var left: [String: PodRecord] = [:]

  init(context: PodContext) { self.context = context }

  func apply(_ change: PodChange) async {
    switch change {
    case .all(let documents):
      let uids = Set(documents.compactMap(PodTable.uid))
      if !hasStarted { await begin(uids) }
      for (uid, entry) in entries where !uids.contains(uid) { entry.controller.send(.removed) }
      for document in documents { await changed(document) }
    case .changed(let document): await changed(document)
    case .removed(let namespace, let name): remove(key: "\(namespace)/\(name)", but: nil)
    }
  }

  /// Ends all Pods and waits for them.
  func stop() async {
    isStopping = true
    for entry in entries.values { entry.controller.send(.stop) }
    while let entry = entries.values.first { await entry.task.value }
  }

  private func changed(_ document: JSONValue) async {
    guard !isStopping, let uid = PodTable.uid(document) else { return }
    let workload: Workload
    do {
      workload = try Workload(JSONCursor(document))
    } catch {
      return await refuse(document, uid: uid, error)
    }
    guard workload.nodeName == context.configuration.nodeName else { return }
    if let entry = entries[uid] { return entry.controller.send(.changed(workload)) }
    // A Pod of the same name that was replaced behind our back.
    remove(key: workload.key, but: uid)
    let controller = PodController(uid: uid, key: workload.key)
    let record = left.removeValue(forKey: uid)
    let task = Task { [context] in
      await controller.run(workload, document: document, record: record, context: context)
      self.ended(uid)
    }
    entries[uid] = Entry(controller: controller, task: task)
  }

  private func remove(key: String, but uid: String?) {
    for entry in entries.values where entry.controller.key == key && entry.controller.uid != uid {
      entry.controller.send(.removed)
    }
  }

  private func ended(_ uid: String) { entries[uid] = nil }

  /// A Pod that can not be run here as it is written fails, and says why; deleting it works.
  private func refuse(_ document: JSONValue, uid: String, _ error: FieldError) async {
    guard let name = document[path: "metadata", "name"]?.stringValue else { return }
    let namespace = document[path: "metadata", "namespace"]?.stringValue ?? "default"
    let api = context.api
    do {
      if document[path: "metadata", "deletionTimestamp"] != nil {
        try await api.remove(namespace: namespace, name: name, uid: uid)
      } else if document[path: "status", "phase"] != "Failed" {
        let patch: JSONValue = [
          "metadata": ["uid": .string(uid)],
          "status": ["phase": "Failed", "reason": "NotSupported", "message": .string(error.description)],
        ]
        try await api.patchStatus(namespace: namespace, name: name, patch)
      }
    } catch {
      context.logger.warning("pod \(namespace)/\(name): \(error)")
    }
  }

  private static func uid(_ document: JSONValue) -> String? { document[path: "metadata", "uid"]?.stringValue }
}

// Leftovers of a runtime that crashed.
extension PodTable {
  /// Cleans up what has no Pod any more. Before any controller starts, so that nothing new is taken for a leftover.
  private func begin(_ uids: Set<String>) async {
    hasStarted = true
    let context = context
    let left = await context.pool.run { () -> [PodRecord] in
      let leftovers = Leftovers(context: context)
      return leftovers.clean(keeping: uids)
    }
    for record in left { self.left[record.uid] = record }
  }
}
