import CLibBPF
import Glibc

extension ObjectSpecification {
  /// Gives the maps and the selected programs to the kernel.
  ///
  /// - Parameters:
  ///   - directory: where maps with ``Map/isPinned`` are pinned by name. A pin that exists is adopted when type, sizes, flags and
  ///     max_entries agree, or else ``PinnedMapMismatch`` is thrown and nothing changes. nil pins nothing.
  ///   - reusing: open maps to take in place of the object's, by name.
  /// - Throws: ``BPFError``, with the verifier's log when a program was refused; ``PinnedMapMismatch``.
  public func load(
    pinningMapsBelow directory: String? = nil, reusing: [String: RawMap] = [:]
  ) throws -> LoadedObject {
    let object = try OpenObject(bytes: bytes, name: name)
    try apply(to: object)

    var kept = reusing
    var adopted: Set<String> = []
    // As libbpf will make them: it rounds the size of a ring buffer up.
    let effective = object.maps.map { Map(libbpf: $0) }
    if let directory {
      try BPFFS.makeDirectories(directory)
      for map in maps where map.isPinned && kept[map.name] == nil {
        let path = "\(directory)/\(map.name)"
        guard access(path, F_OK) == 0 else { continue }
        let pinned = try RawMap.fromPin(path)
        let wanted = effective.first { $0.name == map.name } ?? map
        if let mismatch = PinnedMapMismatch(wanted, pinned.info, path: path) { throw mismatch }
        kept[map.name] = pinned
        adopted.insert(map.name)
      }
    }
    for map in object.maps {
      guard let reused = kept[String(cString: bpf_map__name(map))] else { continue }
      try check(bpf_map__reuse_fd(map, reused.fileDescriptor), "bpf_map__reuse_fd", reused.label)
    }

    try LibBPFOutput.check("bpf_object__load", "object \"\(name)\"") { bpf_object__load(object.pointer) }

    let loaded = try collect(object, adopted: adopted)
    if let directory { try pin(loaded, below: directory, except: Set(kept.keys)) }
    return loaded
  }

  /// Carries the changes of this specification over to libbpf's object.
  private func apply(to object: OpenObject) throws(BPFError) {
    for map in object.maps {
      guard let wanted = self[String(cString: bpf_map__name(map))] else { continue }
      // Pins are made here, after the programs are loaded, so that a refused object leaves none.
      try check(bpf_map__set_pin_path(map, nil), "bpf_map__set_pin_path", wanted.name)
      if bpf_map__max_entries(map) != wanted.maxEntries {
        try check(bpf_map__set_max_entries(map, wanted.maxEntries), "bpf_map__set_max_entries", wanted.name)
      }
      if bpf_map__map_flags(map) != wanted.flags.rawValue {
        try check(bpf_map__set_map_flags(map, wanted.flags.rawValue), "bpf_map__set_map_flags", wanted.name)
      }
      if let value = wanted.initialValue {
        try check(bpf_map__set_initial_value(map, value, value.count), "bpf_map__set_initial_value", wanted.name)
      }
    }
    for program in object.programs {
      let name = String(cString: bpf_program__name(program))
      let isSelected = programs.first { $0.name == name }?.isSelected ?? true
      try check(bpf_program__set_autoload(program, isSelected), "bpf_program__set_autoload", name)
    }
  }

  /// Duplicates the descriptors, so that libbpf's object and its copy of the ELF file can go.
  private func collect(_ object: OpenObject, adopted: Set<String>) throws(BPFError) -> LoadedObject {
    var maps: [String: RawMap] = [:]
    for map in object.maps where bpf_map__fd(map) >= 0 {
      let name = String(cString: bpf_map__name(map))
      maps[name] = try RawMap(OwnedDescriptor(duplicating: bpf_map__fd(map)))
    }
    var programs: [String: BPF.Program] = [:]
    for program in object.programs where bpf_program__autoload(program) {
      let name = String(cString: bpf_program__name(program))
      programs[name] = try BPF.Program(OwnedDescriptor(duplicating: bpf_program__fd(program)))
    }
    return LoadedObject(maps: maps, programs: programs, adopted: adopted)
  }

  private func pin(_ loaded: LoadedObject, below directory: String, except kept: Set<String>) throws(BPFError) {
    var made: [String] = []
    do {
      for map in maps where map.isPinned && !kept.contains(map.name) {
        let path = "\(directory)/\(map.name)"
        try loaded.map(map.name).pin(at: path)
        made.append(path)
      }
    } catch {
      for path in made { try? Pin.unpin(path) }
      throw error
    }
  }
}
