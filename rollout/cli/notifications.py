"""Opens who is told of a rollout, with secrets from the environment."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from ..plan.model import Plan
from ..runner.notifications import Notifier, open_notifier
from .exit_codes import UsageError
from .gates import expand


@contextlib.asynccontextmanager
async def open_notifications(plan: Plan) -> AsyncIterator[Notifier | None]:
    """Yield the notifier of a plan; raise UsageError if it can't tell anybody."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            notifier = await stack.enter_async_context(
                open_notifier(plan.namespace, plan.notify, expand)
            )
        except ModuleNotFoundError as error:
            raise UsageError(
                f"notify needs {error.name}: pip install 'tallykv-rollout[notify]', or use webhook"
            ) from None
        except ValueError as error:
            raise UsageError(f"notify: a url of the plan is wrong: {error}") from None
        yield notifier
