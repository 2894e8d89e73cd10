"""The script of ``completion`` completes commands and flags in a real bash."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.rollout.cli.cli_runner import call


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    said = call("completion", "bash")
    assert said.code == 0
    file = tmp_path_factory.mktemp("completion") / "script"
    file.write_text(said.out)
    return file


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["reh"], {"rehearse"}), (["run", "--metrics-p"], {"--metrics-port"})],
)
def test_bash_completes(words: list[str], expected: set[str], script: Path) -> None:
    function = "_shtab_tallykv_rollout"
    program = (
        f". {script}; COMP_WORDS=(tallykv-rollout {' '.join(words)}); COMP_CWORD={len(words)};"
        f' {function}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )

    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert set(done.stdout.split()) == expected, done.stderr
