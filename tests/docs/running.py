"""Run the commands of a page in order, in one shell."""

from __future__ import annotations

import doctest
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.docs.outputs import OutputDiffers, Outputs
from tests.docs.pages import Block, Command, blocks_of
from tests.docs.shells import CommandFailed, Shell
from tests.rollout.cli.cli_process import HELD_UP
from tests.support.waiting import POLL_SECONDS

END_SECONDS: Final = 60.0
#: How slow a good release was on a machine that does other work; and a share that is refused by
#: chance, as one of 60,000 is. Where a command must succeed, its page does not show them.
_UNLUCKY: Final = (
    *HELD_UP,
    "slower: with all traffic, the canary is slower than the stable release was before",
    " % at ",
)

#: Called with a command whose output differs, and the output.
Differs = Callable[[Command, str], None]


def run_page(page: Path, directory: Path, differs: Differs | None = None) -> None:
    """Run what can run here; raise AssertionError with the block's place.

    With ``differs``, an output that is not the one shown is handed to it instead; the output of
    commands in the background is not compared then.
    """
    names: dict[str, Any] = {}
    outputs = Outputs()
    with Shell(directory) as shell:
        ends = []
        for block in blocks_of(page):
            if block.needs is not None:
                continue
            try:
                if block.language == "pycon":
                    _run_doctest(block, names)
                elif block.saved_as is not None:
                    shell.save(block.saved_as, block.text)
                elif block.is_background:
                    ends.append(_start(shell, block, outputs))
                else:
                    for command in block.commands:
                        _run(shell, block, command, outputs, differs)
            except AssertionError as error:
                raise AssertionError(f"{block.place}: {error}") from error
        for end in ends if differs is None else []:
            end()


def _run(
    shell: Shell, block: Block, command: Command, outputs: Outputs, differs: Differs | None
) -> None:
    # Only the last command of a block may fail.
    exits = block.exits if command is block.commands[-1] else 0
    try:
        output = shell.run(command.text, exits=exits)
    except CommandFailed as error:
        if exits or not any(each in str(error) for each in _UNLUCKY):
            raise
        output = shell.run(command.text, exits=exits)  # once more; this time it counts
    if command.output is None:
        return
    try:
        outputs.compare("\n".join(command.output), output)
    except OutputDiffers as error:
        if differs is None:
            raise CommandFailed(f"{command.text}\n{error}") from None
        differs(command, output)


def _start(shell: Shell, block: Block, outputs: Outputs) -> Callable[[], None]:
    """Start a block's only command; return what compares its output when the page ends."""
    [command] = block.commands
    shown = "\n".join(command.output or [])

    def compare(output: str, ids: Outputs) -> str:
        try:
            ids.compare(shown, output, is_complete=False)
        except OutputDiffers as error:
            return str(error)
        return ""

    background = shell.start(
        command.text, lambda said: bool(shown) and not compare(said, Outputs())
    )

    def end() -> None:
        """Wait for the output: a line of the log is written a little after its request."""
        give_up = time.monotonic() + END_SECONDS
        while shown and (difference := compare(shell.translate_back(background.output()), outputs)):
            assert time.monotonic() < give_up, f"{block.place}: {difference}"
            time.sleep(POLL_SECONDS)

    return end


def _run_doctest(block: Block, names: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(
        block.text, names, block.place, str(block.page), block.line
    )
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=said.append, clear_globs=False)
    names.update(test.globs)
    assert not runner.failures, "".join(said)
