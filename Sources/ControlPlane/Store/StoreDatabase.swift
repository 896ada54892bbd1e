import GRDB
import JSON

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The SQLite side of the store. Every call is made under the store's lock, so there is one writer.
struct StoreDatabase: Sendable {
  private let queue: DatabaseQueue

  init(path: String?) throws {
    var configuration = Configuration()
    configuration.busyMode = .timeout(5)
    configuration.prepareDatabase { database in
      try database.execute(sql: "PRAGMA synchronous = NORMAL")
    }
    if let path {
      configuration.journalMode = .wal
      queue = try DatabaseQueue(path: path, configuration: configuration)
    } else {
      queue = try DatabaseQueue(configuration: configuration)
    }
    try queue.write { database in
      try database.execute(
        sql: """
          CREATE TABLE IF NOT EXISTS objects (
            resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
            version INTEGER NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (resource, namespace, name)) WITHOUT ROWID;
          CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
          INSERT OR IGNORE INTO counters VALUES ('resourceVersion', 1);
          """)
    }
  }

  func load(_ body: (ObjectKey, UInt64, [UInt8]) throws -> Void) throws {
    try queue.read { database in
      let rows = try Row.fetchCursor(database, sql: "SELECT resource, namespace, name, version, body FROM objects")
      while let row = try rows.next() {
        let key = ObjectKey(resource: row[0], namespace: row[1], name: row[2])
        let version: Int64 = row[3]
        let bytes = try row.withUnsafeData(atIndex: 4) { data in Array(data ?? .init()) }
        try body(key, UInt64(version), bytes)
      }
    }
  }

  func loadResourceVersion() throws -> UInt64 {
    try queue.read { database in
      let version = try Int64.fetchOne(database, sql: "SELECT value FROM counters WHERE name = 'resourceVersion'")
      return UInt64(version ?? 1)
    }
  }

  func commit(_ changes: [StoreChange], resourceVersion: UInt64) throws {
    try queue.write { database in
      let put = try database.cachedStatement(sql: "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)")
      let delete = try database.cachedStatement(
        sql: "DELETE FROM objects WHERE resource = ? AND namespace = ? AND name = ?")
      for change in changes {
        let key = change.object.key
        if change.kind == .deleted {
          try delete.execute(arguments: [key.resource, key.namespace, key.name])
        } else {
          try put.execute(arguments: [
            key.resource, key.namespace, key.name, Int64(change.object.resourceVersion), Blob(change.object.body),
          ])
        }
      }
      let counter = try database.cachedStatement(sql: "UPDATE counters SET value = ? WHERE name = 'resourceVersion'")
      try counter.execute(arguments: [Int64(resourceVersion)])
    }
  }

  func close() throws { try queue.close() }
}

/// Bytes bound as a BLOB.
private struct Blob: StatementBinding, DatabaseValueConvertible {
  let bytes: [UInt8]

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var databaseValue: DatabaseValue { bytes.withUnsafeBytes { Data($0) }.databaseValue }

  static func fromDatabaseValue(_ value: DatabaseValue) -> Blob? {
    Data.fromDatabaseValue(value).map { Blob(Array($0)) }
  }
}
