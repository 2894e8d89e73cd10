"""schemathesis, with all its checks and statefully, finds nothing; and finds what is wrong."""

from __future__ import annotations

import copy
import json
from pathlib import Path

from tests.support.services import service_process
from tests.support.sizes import size
from tests.svc.api.openapi.documents import built
from tests.svc.api.openapi.fuzzing import run


def test_thousands_of_requests_find_nothing(tmp_path: Path) -> None:
    with service_process(KV_DATA_DIR=str(tmp_path)) as service:
        done = run(service.base, examples=size(25, long=300), seed=1)

    assert done.exit_code == 0, done.output
    assert done.cases >= 1_000


def test_an_answer_that_the_document_does_not_have_is_found(tmp_path: Path) -> None:
    """The test of the test."""
    document = copy.deepcopy(built())
    del document["paths"]["/v1/counters/{name}"]["get"]["responses"]["404"]
    wrong = tmp_path / "openapi.json"
    wrong.write_text(json.dumps(document))

    with service_process(KV_DATA_DIR=str(tmp_path / "data")) as service:
        done = run(service.base, examples=1, seed=1, document=wrong, only="readCounter")

    assert done.exit_code == 1, done.output
    assert "Received: 404" in done.output
