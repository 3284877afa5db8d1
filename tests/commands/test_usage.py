"""What is printed without a command, or with ``--help``: the commands, as a table that can be read down."""

from __future__ import annotations

import pytest

from dqn_mer.__main__ import COMMANDS, main
from dqn_mer.commands.errors import TRACEBACK


def test_what_each_command_does_begins_in_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = lines[lines.index("commands:") + 1 :][: len(COMMANDS)]
    assert [line.split(maxsplit=1) for line in table] == [list(row) for row in COMMANDS.items()]
    assert len({line.index(summary) for line, summary in zip(table, COMMANDS.values(), strict=True)}) == 1


def test_the_traceback_of_an_error_stands_above_its_line_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("operands could not be broadcast together")

    monkeypatch.setattr("dqn_mer.commands.compare.compare", fail)
    words, line = ["compare", ".", "--out", "report"], "error: operands could not be broadcast together\n"
    monkeypatch.delenv(TRACEBACK, raising=False)
    assert (main(words), capsys.readouterr().err) == (2, line)
    monkeypatch.setenv(TRACEBACK, "1")
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.startswith("Traceback (most recent call last):\n") and ", in fail\n" in told and told.endswith(line)
