"""How a release is rolled out: its manifests checked, rehearsed and applied."""

__version__ = "0.1.0"
