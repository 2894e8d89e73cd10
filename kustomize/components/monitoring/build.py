"""Write prometheusrule.yaml anew from grafana/rules/*.yaml: the groups are the same, one by one."""  # noqa: INP001

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
RULES: Final = HERE.parents[2] / "grafana" / "rules"
TARGET: Final = HERE / "prometheusrule.yaml"


class Dumper(yaml.SafeDumper):
    """Keeps an expression of several lines readable."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - a copy reads better
        return True


Dumper.add_representer(str, Dumper.represent_text)


def read_groups() -> list[Any]:
    """Return the groups of all rule files, their unit tests left out."""
    files = [path for path in sorted(RULES.glob("*.yaml")) if not path.name.endswith(".test.yaml")]
    return [group for path in files for group in yaml.safe_load(path.read_text())["groups"]]


def build() -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "kv", "labels": {"app.kubernetes.io/name": "kv"}},
        "spec": {"groups": read_groups()},
    }


def render() -> str:
    text = yaml.dump(build(), Dumper=Dumper, sort_keys=False, width=10_000, allow_unicode=True)
    return f"# Written by build.py from grafana/rules; change it there.\n{text}"


if __name__ == "__main__":
    TARGET.write_text(render())
