"""Manifests for tests: of the folder ``shop``, with another VirtualService."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Final

SHOP: Final = Path(__file__).with_name("shop")


def write(directory: Path, **files: str) -> Path:
    """Write texts to files; ``_`` in a name stands for a dot."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (directory / name.replace("_", ".")).write_text(textwrap.dedent(text))
    return directory


def virtual_service(http: str, hosts: str = "[kv.example.com, kv]") -> str:
    """Return a VirtualService for the Gateway and the mesh."""
    head = f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: kv, namespace: shop}}
spec:
  hosts: {hosts}
  gateways: [edge, mesh]
  http:
"""
    return head + textwrap.indent(textwrap.dedent(http), "  ")
