import ArgumentParser

@main
struct Martlet: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "A service mesh without sidecars.")
}
