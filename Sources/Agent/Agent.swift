// Agent: see ARCHITECTURE.md.
