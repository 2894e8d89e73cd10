"""The rules of a workflow file, as the code host's documentation has them: what is wrong with one.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

import graphlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = dict[str, Any]

TOP: Final = {"name", "on", "permissions", "concurrency", "env", "defaults", "jobs", "run-name"}
JOB: Final = {
    *("name", "needs", "if", "permissions", "strategy", "concurrency", "runs-on", "environment"),
    *("outputs", "env", "defaults", "steps", "timeout-minutes", "continue-on-error", "container"),
    "services",
}
#: A job that calls another workflow has no steps.
CALL: Final = {"name", "needs", "if", "permissions", "strategy", "concurrency"} | {
    *("uses", "with", "secrets")
}
STEP: Final = {
    *("id", "if", "name", "uses", "run", "working-directory", "shell", "with", "env"),
    *("continue-on-error", "timeout-minutes"),
}
EVENTS: Final = {"push", "pull_request", "schedule", "workflow_call", "workflow_dispatch"}
FILTERS: Final = {"branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"}
PERMISSIONS: Final = {
    *("actions", "attestations", "checks", "contents", "deployments", "id-token", "issues"),
    *("packages", "pages", "pull-requests", "security-events", "statuses"),
}
#: The inputs of the actions that are used, as their action.yml name them.
INPUTS: Final = {
    "actions/checkout": {"persist-credentials", "fetch-depth", "ref"},
    "actions/setup-python": {"python-version", "cache"},
    "actions/upload-artifact": {"name", "path", "if-no-files-found", "retention-days"},
    "actions/download-artifact": {"name", "path"},
    "actions/attest-build-provenance": {
        *("subject-path", "subject-name", "subject-digest", "push-to-registry"),
    },
    "docker/setup-buildx-action": set[str](),
    "docker/login-action": {"registry", "username", "password"},
    "docker/build-push-action": {
        *("context", "file", "platforms", "push", "tags", "build-args", "labels"),
    },
    "sigstore/cosign-installer": set[str](),
    "pypa/gh-action-pypi-publish": {"packages-dir"},
}
CONTEXTS: Final = {"github", "env", "vars", "secrets", "matrix", "steps", "needs", "runner"}

_ID: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_PINNED: Final = re.compile(r"([\w.-]+/[\w.-]+)@[0-9a-f]{40}")
_EXPRESSION: Final = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_REFERENCE: Final = re.compile(r"\b([a-z]+)\.([\w-]+)")
_TEXT: Final = re.compile(r"'[^']*'")


def complaints(workflow: Any) -> Iterator[str]:
    """Yield what is wrong with a workflow, as yaml.safe_load returns it."""
    if not isinstance(workflow, dict):
        yield "it is no mapping"
        return
    # YAML 1.1 takes the word for a boolean.
    top = {"on" if key is True else key: value for key, value in workflow.items()}
    yield from _unknown("workflow", top, TOP, {"on", "jobs"})
    yield from _events(top.get("on"))
    if not set(_mapping(top.get("permissions"))) <= {"contents"}:
        yield "permissions: each job asks for its own"
    jobs = _mapping(top.get("jobs"))
    if top.get("permissions") != {"contents": "read"} or not jobs:
        yield "it has no jobs, or does not say that they may only read"
    for name, job in jobs.items():
        for complaint in _job(name, _mapping(job), jobs):
            yield f"{name}: {complaint}"
    try:
        graphlib.TopologicalSorter(
            {name: _needs(_mapping(job)) for name, job in jobs.items()}
        ).prepare()
    except graphlib.CycleError:
        yield "jobs need each other in a circle"


def _events(events: Any) -> Iterator[str]:
    for event, options in _mapping(events).items():
        if event not in EVENTS:
            yield f"on: no event {event}"
        elif event == "schedule":
            for each in options:
                if len(str(each.get("cron", "")).split()) != 5:
                    yield "on: a schedule without five fields"
        elif options is not None and not set(options) <= FILTERS:
            yield f"on: {event} has no such filter"
    if not _mapping(events):
        yield "on: no events"


def _job(name: str, job: Json, jobs: Json) -> Iterator[str]:
    if not _ID.fullmatch(name):
        yield "no name for a job"
    for permission, level in _mapping(job.get("permissions")).items():
        if permission not in PERMISSIONS or level not in {"read", "write", "none"}:
            yield f"no permission {permission}: {level}"
    yield from (f"needs {each}, which is no job" for each in _needs(job) - jobs.keys())
    if "uses" in job:
        yield from _unknown("job", job, CALL, set())
        if not str(job["uses"]).startswith("./.github/workflows/"):
            yield "calls a workflow of others"
        return
    yield from _unknown("job", job, JOB, {"runs-on", "steps", "timeout-minutes"})
    ids: set[str] = set()
    for step in job.get("steps", ()):
        yield from _step(_mapping(step))
        yield from _references(step, job, ids)
        ids |= {step["id"]} if "id" in step else set()
    yield from _references({key: job[key] for key in job if key != "steps"}, job, ids)


def _step(step: Json) -> Iterator[str]:
    yield from _unknown("step", step, STEP, set())
    if ("uses" in step) == ("run" in step):
        yield "a step must have either uses or run"
    if "run" in step and "${{" in step["run"]:
        yield "an expression in a script may bring commands along: hand it over in env"
    if "uses" in step:
        found = _PINNED.fullmatch(str(step["uses"]))
        if found is None:
            yield f"{step['uses']} is not pinned to a commit"
        elif found[1] not in INPUTS:
            yield f"nobody has looked at the inputs of {found[1]}"
        elif unknown := set(step.get("with", {})) - INPUTS[found[1]]:
            yield f"{found[1]} has no input {', '.join(sorted(unknown))}"


def _references(part: Any, job: Json, ids: set[str]) -> Iterator[str]:
    """Yield the references of a part's expressions that lead nowhere."""
    matrix = _mapping(_mapping(job.get("strategy")).get("matrix"))
    values = set(matrix) | {key for each in matrix.get("include", ()) for key in each}
    known = {"matrix": values, "steps": ids, "needs": _needs(job)}
    for expression in _expressions(part):
        for context, name in _REFERENCE.findall(_TEXT.sub("", expression)):
            if context not in CONTEXTS and f".{context}." not in expression:
                yield f"no context {context}"
            elif name not in known.get(context, {name}):
                yield f"no {context}.{name}"


def _expressions(part: Any, key: str = "") -> Iterator[str]:
    if isinstance(part, dict):
        for name, each in part.items():
            yield from _expressions(each, name)
    elif isinstance(part, list):
        for each in part:
            yield from _expressions(each)
    elif isinstance(part, str):
        yield from ([part] if key == "if" else _EXPRESSION.findall(part))


def _needs(job: Json) -> set[str]:
    needs = job.get("needs", [])
    return {needs} if isinstance(needs, str) else set(needs)


def _unknown(
    what: str, part: Mapping[str, Any], known: set[str], needed: set[str]
) -> Iterator[str]:
    yield from (f"a {what} has no {key}" for key in sorted(part.keys() - known))
    yield from (f"a {what} must have {key}" for key in sorted(needed - part.keys()))


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
