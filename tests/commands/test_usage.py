"""What is printed without a command, or with ``--help``: the commands, as a table that can be read down."""

from __future__ import annotations

import pytest

from dqn_mer.__main__ import COMMANDS, main


def test_what_each_command_does_begins_in_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[lines.index("commands:") + 1 :][: len(COMMANDS)]
    assert [line.split(maxsplit=1) for line in table] == [list(row) for row in COMMANDS.items()]
    assert len({line.index(summary) for line, summary in zip(table, COMMANDS.values(), strict=True)}) == 1
