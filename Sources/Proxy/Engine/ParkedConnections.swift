import Addressing

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// Connections to servers that no client uses at the moment, kept for the next request from the same address to the same
/// server under the same policy. Short-lived, and mostly of few keys, so they are searched one by one, the newest first.
struct ParkedConnections {
  /// Who may use a connection. The policy holds the revision at which the datapath judged the client's connection, so what
  /// was judged at another one never matches.
  struct Key: Hashable {
    var client: IPAddress
    var server: SocketAddress
    var policy: ConnectionPolicy
  }

  private struct Entry {
    var key: Key
    var fd: Int32
    var since: UInt64
  }

  private var entries: [Entry] = []

  /// Connections of one key: requests at once between one client and one server, each stream of HTTP/2 being one. What is closed
  /// for want of a place is opened again with the next request, from an address whose ports are searched for a free one.
  static let limitPerKey = 512
  static let limit = 2048

  var isEmpty: Bool { entries.isEmpty }

  /// Takes over the socket; one that is over a limit takes the place of the oldest.
  mutating func add(_ fd: Int32, for key: Key, now: UInt64) {
    var ofKey = 0
    var oldest = 0
    if entries.count >= Self.limitPerKey {
      for index in entries.indices.reversed() where entries[index].key == key {
        ofKey &+= 1
        oldest = index
      }
    }
    if ofKey >= Self.limitPerKey {
      end(at: oldest)
    } else if entries.count >= Self.limit {
      end(at: 0)
    }
    entries.append(Entry(key: key, fd: fd, since: now))
  }

  /// The newest connection of a key that its server has neither closed nor written to; the caller owns it.
  mutating func take(_ key: Key) -> Int32? {
    for index in entries.indices.reversed() where entries[index].key == key {
      if Self.isQuiet(entries[index].fd) { return entries.remove(at: index).fd }
      end(at: index)
    }
    return nil
  }

  /// The server closed a connection, or spoke without being asked.
  mutating func end(_ fd: Int32) {
    if let index = entries.firstIndex(where: { $0.fd == fd }) { end(at: index) }
  }

  /// Ends what waited since `time` or longer and what was judged at another revision.
  mutating func end(since time: UInt64, revisionOtherThan revision: UInt32) {
    for index in entries.indices.reversed()
    where entries[index].since <= time || entries[index].key.policy.revision != revision {
      end(at: index)
    }
  }

  mutating func endAll() {
    for entry in entries { close(entry.fd) }
    entries.removeAll()
  }

  private mutating func end(at index: Int) { close(entries.remove(at: index).fd) }

  private static func isQuiet(_ fd: Int32) -> Bool {
    var octet: UInt8 = 0
    return recv(fd, &octet, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT)) < 0
      && (errno == EAGAIN || errno == EWOULDBLOCK)
  }
}
