// HTTPRules: see ARCHITECTURE.md.
