"""Take the document of today for that of the last release: ``python -m`` this module.

Part of a release, see CONTRIBUTING.md.
"""

from __future__ import annotations

import json

from tests.svc.api.openapi.documents import RELEASED, built


def main() -> None:
    RELEASED.write_text(json.dumps(built(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
