"""How a release is rolled out: its manifests checked, rehearsed and applied."""
