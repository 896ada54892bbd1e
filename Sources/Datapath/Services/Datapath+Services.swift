import BPF
import Services

extension Datapath {
  /// Makes the maps have these Services and no others, and returns who keeps them so.
  ///
  /// Where tables of another size are there, programs choose at random until all of them are replaced.
  public func startServices(
    with all: [ServiceName: CompiledService], maglevSize: Int, now: ContinuousClock.Instant = .now
  ) throws -> ServiceReconciler {
    let present = try configuration.entry?.maglev_size ?? 0
    if present != 0, present != UInt32(maglevSize) { try configuration.change { $0.maglev_size = 0 } }
    var reconciler = try ServiceReconciler(services, maglevSize: maglevSize)
    // With new maps nobody was led anywhere; without the kernel's BTF nobody can be told anything.
    let clients = adopted ? (try? socketTermination.sockets()) ?? [] : []
    reconciler.start(with: all, clients: Set(clients.map { BackendClient($0) }), now: now)
    try configuration.change { $0.maglev_size = UInt32(maglevSize) }
    return reconciler
  }
}
