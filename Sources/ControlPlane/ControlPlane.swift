// ControlPlane: see ARCHITECTURE.md.
