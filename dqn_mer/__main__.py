"""``python -m dqn_mer COMMAND``: the commands, each of which is ``main`` in the file of its name in ``commands/``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from dqn_mer.commands.errors import complain
from dqn_mer.config.help_texts import version
from dqn_mer.storage.lasting_output import lasting_output

COMMANDS = {
    "train": "train an agent on a game that changes (the same as train.py)",
    "evaluate": "play a saved agent and report how well it does on each setting",
    "sweep": "train all combinations of games, agents and seeds, several at once",
    "compare": "compare finished runs: figures, tables and a page for each game",
    "supervised": "learn a stream of labelled images by MER or a baseline, and compare",
    "watch": "watch a saved agent in a window, as clips or in TensorBoard",
    "export": "write an agent as a folder to share, with a card of its scores",
    "play": "play a game yourself, beside a saved agent if you like",
}
"""What each command does, in a line."""
FIRST_STEPS = {
    "train --preset quick": "train an agent for a minute or two",
    "watch runs/RUN": "watch it play, or write clips with --out",
    "play catcher --against runs/RUN": "play against it yourself",
    "compare runs --out report": "compare all runs that are finished",
}
"""Words that a newcomer types, with what they do, in a line."""


def usage() -> str:
    """Return the first steps, which is what somebody without a command looks for, and all commands."""
    steps = (f"  python -m dqn_mer {words}\n      {what}" for words, what in FIRST_STEPS.items())
    width = max(map(len, COMMANDS))
    commands = (f"  {name:{width}} {summary}" for name, summary in COMMANDS.items())
    return "\n".join([
        "usage: python -m dqn_mer COMMAND [flags]", "", "to start:", *steps,
        "`tensorboard --logdir runs` shows the runs while they train.", "", "commands:", *commands, "",
        "`python -m dqn_mer COMMAND --help` explains the flags of one.",
        "`--version` prints the version.",
    ])  # fmt: skip


@lasting_output()
def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``dqn-mer COMMAND ...`` and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in ([], ["-h"], ["--help"]):
        print(usage())
    if given[:1] in (["-h"], ["--help"]):
        return 0
    if given[:1] == ["--version"]:
        print(version())
        return 0
    if not given or given[0] not in COMMANDS:
        name = repr(given[0]) if given else "nothing"
        return complain(f"command: {name} given; must be one of {', '.join(COMMANDS)}")
    code: int = import_module(f"dqn_mer.commands.{given[0]}").main(given[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
