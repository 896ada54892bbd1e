// Automata: see ARCHITECTURE.md.
