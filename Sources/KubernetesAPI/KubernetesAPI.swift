// KubernetesAPI: see ARCHITECTURE.md.
