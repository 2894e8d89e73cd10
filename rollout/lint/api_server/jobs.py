"""Jobs and CronJobs as the API server accepts them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ...manifests.field_errors import FieldError
from ...manifests.json_path import PathSegments
from ...manifests.untyped import mapping_or_empty
from .fields import bad, check_least, missing
from .pods import pod_errors
from .schedules import schedule_errors

_SPEC: Final = ("spec",)
_POLICIES: Final = frozenset({"Allow", "Forbid", "Replace"})
#: The controller appends 11 characters for the name of a Job, which has at most 63.
_MAX_NAME: Final = 52


def job_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a Job."""
    return _errors_of_job(mapping_or_empty(document.get("spec")), _SPEC)


def cron_job_errors(document: Mapping[str, Any]) -> Iterator[FieldError]:
    """Yield what the API server refuses of a CronJob."""
    spec = mapping_or_empty(document.get("spec"))
    name = mapping_or_empty(document.get("metadata")).get("name")
    if isinstance(name, str) and len(name) > _MAX_NAME:
        yield bad(("metadata", "name"), f"it has more than {_MAX_NAME} characters", "shorten it")
    schedule = spec.get("schedule")
    if schedule == "":
        yield missing((*_SPEC, "schedule"), "it is empty", "set it")
    elif isinstance(schedule, str):
        for what in schedule_errors(schedule):
            yield bad((*_SPEC, "schedule"), what, "write 5 fields, as in */5 * * * *")
    policy = spec.get("concurrencyPolicy", "Allow")
    if isinstance(policy, str) and policy not in _POLICIES:
        at = (*_SPEC, "concurrencyPolicy")
        yield bad(at, f'there is no policy "{policy}"', "use Allow, Forbid or Replace")
    if spec.get("timeZone") in ("", "Local"):
        yield bad(
            (*_SPEC, "timeZone"), "it is not the name of a time zone", "use one, as in Etc/UTC"
        )
    yield from check_least(
        spec,
        _SPEC,
        "startingDeadlineSeconds",
        "successfulJobsHistoryLimit",
        "failedJobsHistoryLimit",
    )
    template = mapping_or_empty(mapping_or_empty(spec.get("jobTemplate")).get("spec"))
    yield from _errors_of_job(template, (*_SPEC, "jobTemplate", "spec"))


def _errors_of_job(spec: Mapping[str, Any], at: PathSegments) -> Iterator[FieldError]:
    yield from check_least(spec, at, "parallelism", "completions", "backoffLimit")
    template = mapping_or_empty(spec.get("template"))
    pod = mapping_or_empty(template.get("spec"))
    if template and pod.get("restartPolicy") not in {"OnFailure", "Never"}:
        yield bad(
            (*at, "template", "spec", "restartPolicy"),
            "the pods of a Job are not always restarted",
            "set it to OnFailure or Never",
        )
    yield from pod_errors(pod, (*at, "template", "spec"))
