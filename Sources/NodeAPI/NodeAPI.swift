// NodeAPI: see ARCHITECTURE.md.
