// Datapath: see ARCHITECTURE.md.
