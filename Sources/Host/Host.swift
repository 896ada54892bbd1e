// Host: see ARCHITECTURE.md.
