// Proxy: see ARCHITECTURE.md.
