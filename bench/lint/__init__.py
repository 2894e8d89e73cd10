"""What ``tallykv-rollout lint`` costs on other people's manifests: CPU time and memory.

May import: frame.
"""
