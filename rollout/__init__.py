"""tallykv-rollout: lints manifests, rehearses rollouts and runs them, over Istio."""

__version__ = "0.1.0"
