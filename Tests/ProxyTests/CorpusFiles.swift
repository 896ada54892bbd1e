import Foundation

/// The stored streams: one file holds many, each as its length in decimal, a line feed, its octets and a line feed.
enum CorpusFiles {
  static var folder: String? { Bundle.module.resourceURL?.appendingPathComponent("Corpus").path }

  static func all(in folder: String) -> [[UInt8]] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return names.sorted().flatMap { name in
      decode(Array((try? Data(contentsOf: URL(fileURLWithPath: folder + "/" + name))) ?? Data()))
    }
  }

  static func decode(_ bytes: [UInt8]) -> [[UInt8]] {
    var streams: [[UInt8]] = []
    var rest = bytes[...]
    while let end = rest.firstIndex(of: 10), let count = Int(String(decoding: rest[..<end], as: UTF8.self)),
      rest.distance(from: end, to: rest.endIndex) > count + 1
    {
      streams.append(Array(rest[(end + 1)..<(end + 1 + count)]))
      rest = rest[(end + 2 + count)...]
    }
    return streams
  }

  static func encode(_ streams: [[UInt8]]) -> [UInt8] {
    streams.flatMap { Array("\($0.count)\n".utf8) + $0 + [10] }
  }
}
