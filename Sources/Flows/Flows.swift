// Flows: see ARCHITECTURE.md.
