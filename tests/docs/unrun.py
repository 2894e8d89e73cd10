"""Check commands without running them: what they name has to exist."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import itertools
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from svc.settings import FIELDS, env_name
from tests.docs.shells import ROOT, own_environ, virtual_environment
from tests.support.manifests import RenderFailed, render_text

HELP_SECONDS: Final = 300.0
_SEPARATORS: Final = {"&&", "||", "|", ";", "&", "(", ")", "{", "}"}
_PROGRAMS: Final = {"tallykv": "svc", "tallykv-rollout": "rollout"}
_OWN: Final = {"svc", "rollout", "bench", "loadtest", "grafana", "kustomize", "tests"}
_TOPS: Final = {
    each.name for each in ROOT.iterdir() if each.is_dir() and not each.name.startswith(".")
} - {"build", "dist", "tallykv-data"}


class Checker:
    """Finds what commands name and the project does not have."""

    def __init__(self, directory: Path) -> None:
        self._make = ["make", "-n", f"VENV={virtual_environment(directory)}"]

    def problems_of(self, script: str) -> list[str]:
        return [problem for words in _commands_of(script) for problem in self._check(words)]

    def _check(self, words: list[str]) -> Iterator[str]:
        while words and (found := re.fullmatch(r"([A-Z_]+)=.*", words[0])):
            if found[1].startswith("KV_") and found[1] not in {env_name(name) for name in FIELDS}:
                yield f"no such setting: {found[1]}"
            words = words[1:]
        if not words:
            return
        yield from _missing_paths(words)
        program, *arguments = words
        program = Path(program).name
        if program == "make":
            yield from self._check_make(arguments)
        elif program.startswith("python") and arguments[:1] == ["-m"]:
            yield from _check_module(arguments[1], arguments[2:])
        elif program in _PROGRAMS:
            yield from _check_module(_PROGRAMS[program], arguments)
        elif program in {"kubectl", "kustomize"}:
            yield from _check_kustomization(arguments)
        elif program == "pip":
            yield from _check_extras(arguments)

    def _check_make(self, arguments: list[str]) -> Iterator[str]:
        done = subprocess.run(
            [*self._make, *arguments],
            cwd=ROOT,
            env=own_environ(),
            capture_output=True,
            text=True,
            check=False,
            timeout=HELP_SECONDS,
        )
        if done.returncode:
            yield f"make {' '.join(arguments)}: {done.stderr.strip()}"
        yield from self.problems_of(done.stdout)


def _commands_of(script: str) -> Iterator[list[str]]:
    """Split a script into commands. A quoted script inside it stays one word."""
    text = ""
    for line in script.replace("\\\n", " ").splitlines():
        text += line + "\n"
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:  # a quotation that ends on a later line
            continue
        text = ""
        for is_separator, command in itertools.groupby(words, _SEPARATORS.__contains__):
            if not is_separator:
                yield list(command)


def _missing_paths(words: list[str]) -> Iterator[str]:
    for word in words:
        path = word.split("=", 1)[-1].removeprefix("./").rstrip("/")
        if "/" in path and path.split("/")[0] in _TOPS and not any(ROOT.glob(path)):
            yield f"no such path: {path}"


def _check_module(module: str, arguments: list[str]) -> Iterator[str]:
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        yield f"no such module: {module}"
        return
    if module.split(".", maxsplit=1)[0] not in _OWN:
        return
    subcommand = arguments[0] if arguments and re.fullmatch(r"[a-z]+", arguments[0]) else None
    flags = [each.split("=")[0] for each in arguments if re.match(r"--?[a-z]", each)]
    explained = _help_of(module, subcommand) if flags or subcommand else ""
    if subcommand and not explained:
        yield f"{module} has no {subcommand}"
        return
    for flag in flags:
        if not re.search(rf"{re.escape(flag)}(?![\w-])", explained):
            yield f"{module} has no {flag}"


@cache
def _help_of(module: str, subcommand: str | None) -> str:
    arguments = [*([subcommand] if subcommand else []), "--help"]
    if module in _PROGRAMS.values():
        # In this process, because starting one for each subcommand takes a second.
        main = importlib.import_module(f"{module}.__main__").main
        written = io.StringIO()
        with contextlib.redirect_stdout(written), contextlib.suppress(SystemExit):
            main(arguments)
        return written.getvalue()
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HELP_SECONDS,
    )
    return done.stdout


def _check_kustomization(arguments: list[str]) -> Iterator[str]:
    for before, argument in zip(["", *arguments], arguments, strict=False):
        if before in {"-k", "kustomize", "build"} and (ROOT / argument).is_dir():
            try:
                render_text(ROOT / argument)
            except RenderFailed as error:
                yield f"{argument}: {error}"


def _check_extras(arguments: list[str]) -> Iterator[str]:
    for argument in arguments:
        if found := re.fullmatch(r"(\.(?:/\w+)*)(?:\[(.+)\])?", argument):
            file = ROOT / found[1] / "pyproject.toml"
            project = tomllib.loads(file.read_text()).get("project") if file.exists() else None
            if project is None:
                yield f"no distribution in {found[1]}"
                continue
            for extra in found[2].split(",") if found[2] else []:
                if extra not in project.get("optional-dependencies", {}):
                    yield f"{found[1]} has no extra {extra}"
