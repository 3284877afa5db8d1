"""Flags made from a dataclass: every spelling, and the right hint for what is meant by a wrong one."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest

from dqn_mer.__main__ import main
from dqn_mer.commands.compare import CompareOptions
from dqn_mer.commands.play import PlayOptions
from dqn_mer.commands.sweep import SweepOptions
from dqn_mer.commands.train import main as train_command
from dqn_mer.config.command_line import parse_config, parse_resume
from dqn_mer.config.config import Config, ResumeOptions
from dqn_mer.config.fields import Flag, allowed_values, check_fields
from dqn_mer.config.flag_hints import HAS_NONE, OF_OTHERS
from dqn_mer.config.flag_words import UsageError, fields_of_flags, flag_of
from dqn_mer.config.flags import parse, parse_known
from dqn_mer.config.help_texts import field_texts, version
from dqn_mer.evaluation.agent_options import EvaluateOptions, WatchOptions
from dqn_mer.ranges import Range
from dqn_mer.supervised.options import SupervisedOptions

ROOT = Path(__file__).parents[2]
OF_COMMANDS = (Config, SweepOptions, SupervisedOptions, CompareOptions, EvaluateOptions, WatchOptions, PlayOptions)


@dataclass(frozen=True)
class Options:
    """Everything that a field can be."""

    where: Annotated[Path, Flag(positional=True)]
    """A word without a flag."""
    needed: int
    """No default."""
    rates: Annotated[tuple[float, ...], Range(-9, 9)] = ()
    """Numbers of which
    90% are small."""
    named: Mapping[str, float] = field(default_factory=dict)
    colour: Annotated[Literal["red", "blue"] | None, Flag(aliases=("--paint",))] = None
    """Alias."""
    loud_voice: bool = False
    """Switch."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class Words:
    """Any number of words."""

    words: Annotated[tuple[Path, ...], Flag(positional=True)]
    """Words without a flag."""
    loud: bool = False
    """Switch."""


def read(text: str) -> Options:
    return parse(Options, text.split(), prog="test")


def complaint(kind: type, text: str) -> str:
    with pytest.raises((UsageError, ValueError)) as caught:
        parse(kind, text.split(), prog="test")
    return str(caught.value)


def test_every_spelling_is_read() -> None:
    plain = Options(Path("x"), 3)
    assert read("x --needed 3") == read("--needed=3 x") == read("--needed 9 x --needed 3") == plain
    assert (
        read("--needed 3 --loud-voice x") == read("--needed 3 --loud_voice x") == Options(Path("x"), 3, loud_voice=True)
    )
    assert read("x --needed 3 --loud-voice --no-loud-voice") == read("x --needed 3 --no_loud_voice") == plain
    assert read("x --needed 3 --paint blue").colour == read("x --needed 3 --colour=blue").colour == "blue"
    assert read("x --needed 3 --colour None") == plain
    assert read("x --needed 3 --named a=1,b=-2").named == {"a": 1.0, "b": -2.0}


def test_negative_numbers_are_values() -> None:
    assert read("x --needed -3").needed == -3
    assert read("x --rates -1,-.5,2e-1 --needed 3").rates == (-1.0, -0.5, 0.2)
    assert complaint(Options, "x --needed -1e5") == "needed='-1e5': must be a whole number"
    assert complaint(Options, "x --needed 3 --loud-voice -1").startswith("loud_voice='-1': is a switch")


@pytest.mark.parametrize("word", [",", "1,,2", ",1", "1,"])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in OF_COMMANDS
        for name, allowed in allowed_values(kind).items()
        if allowed.kind in (tuple, Mapping) and flag_of(name) in fields_of_flags(kind)
    ],
)
def test_no_item_of_a_list_may_be_empty(kind: type, name: str, word: str) -> None:
    allowed = allowed_values(kind)[name]
    items = re.sub(r"\d", r"a\g<0>=\g<0>", word) if allowed.kind is Mapping else word
    expected = f"{name}={items!r}: must be {allowed.describe()}"
    with pytest.raises(UsageError) as caught:
        parse(kind, [f"{flag_of(name)}={items}"], prog="test")
    assert str(caught.value) == expected


def test_a_list_without_items_is_an_empty_word() -> None:
    assert parse(Options, ["x", "--needed=3", "--rates=", "--named", ""], prog="test") == Options(Path("x"), 3)


def test_words_without_a_flag_may_stand_anywhere() -> None:
    assert parse(Words, "a --loud b".split(), prog="test") == Words((Path("a"), Path("b")), loud=True)
    assert parse(Words, ["--loud"], prog="test") == Words((), loud=True)  # whose own check may refuse none


def test_an_empty_word_is_no_path() -> None:
    with pytest.raises(UsageError, match=r"^where='': must be a path$"):
        parse(Options, ["", "--needed=3"], prog="test")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("x", "--needed: no value given; must be a whole number"),
        ("--needed 3", "where: no value given; must be a path"),
        ("x --needed", "--needed: no value given; must be a whole number"),
        ("x --needed --loud-voice", "--needed: no value given; must be a whole number"),
        ("x --needed 3 --colour green", "colour='green': must be one of red, blue, none"),
        ("x --needed 3 --rates 1 2 3", "rates: '2' is left over; several values are written with commas: --rates 1,2"),
        ("x --needed 3 --named a=1 b=2",
         "named: 'b=2' is left over; several values are written with commas: --named a=1,b=2"),
        ("x --needed 3 4", "needed: '4' is left over; must be one value, a whole number"),
        ("x --needed 3 --paint red blue", "colour: 'blue' is left over; must be one value, one of red, blue, none"),
        ("x --needed 3 --loud-voice true",
         "loud_voice='true': is a switch; must be --loud-voice or --no-loud-voice, alone"),
        ("x --needed 3 --no-loud-voice=1",
         "loud_voice='1': is a switch; must be --no-loud-voice or --loud-voice, alone"),
        ("x --needed 3 --help=1", "flags: -h/--help: takes no value"),
        ("x --needed 3 -h1", "flags: -h/--help: takes no value"),
        ("x --needed 3 --load-voice", "flags: '--load-voice' not understood; did you mean --loud-voice?"),
        ("x --needed 3 -v", "flags: '-v' not understood; --help lists all"),
        ("x y --needed 3", "flags: 'y' not understood; --help lists all"),
        ("x --need 3", "--needed: no value given; must be a whole number"),  # no abbreviations
    ],
)  # fmt: skip
def test_mistakes_are_one_line(words: str, expected: str) -> None:
    assert complaint(Options, words) == expected


def test_what_a_hint_suggests_can_be_typed() -> None:
    with pytest.raises(UsageError) as caught:
        parse(SweepOptions, ["--agents", "my agent", "dqn"], prog="test")
    assert str(caught.value).endswith("several values are written with commas: --agents 'my agent,dqn'")


def test_words_that_are_no_flags_are_handed_back_in_order() -> None:
    options, unknown = parse_known(Words, "--frames 3 --loud --seed=4".split(), prog="test")
    assert options.loud and unknown == ["--frames", "--seed=4"]
    assert options.words == (Path("3"),)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("--gamma 0.9", "--discount"),
        ("--lr 1e-3", "--learning-rate"),
        ("--lr=1e-3", "--learning-rate"),
        ("--lr-schedule linear", "--learning-rate"),
        ("--learning_rat 1", "--learning-rate"),
        ("--buffer-size 100000", "--capacity"),
        ("--buffer_size 100000", "--capacity"),
        ("--total-timesteps 100", "--frames"),
        ("--total-frames 100", "--frames"),
        ("--steps 100", "--frames"),
        ("--learning-starts 100", "--warmup-frames"),
        ("--target-update-interval 100", "--target-sync-frames"),
        ("--target-network-frequency 100", "--target-sync-frames"),
        ("--exploration-fraction 0.1", "--epsilon-decay-frames (in frames, not as a share of the run)"),
        ("--exploration-final-eps 0.1", "--epsilon-end"),
        ("--end-e 0.1", "--epsilon-end"),
        ("--start-e 1", "--epsilon-start"),
        ("--env CartPole-v1", "--game (or --task for an environment of your own; in Python own_task)"),
        ("--env-id CartPole-v1", "--game (or --task for an environment of your own; in Python own_task)"),
        ("--resum runs/NAME", "--resume"),
        ("--train-freq 4", "--update-every"),
        ("--gradient-steps 4", "--updates-per-frame"),
        ("--action-repeat 4", "--frame-skip"),
        ("--gamma 0.9 --lr 1 --gamma 1", "--discount, --learning-rate"),
    ],
)
def test_flags_of_other_libraries_get_the_right_hint(words: str, meant: str) -> None:
    with pytest.raises(UsageError, match="not understood") as caught:
        parse_config(words.split())
    assert str(caught.value).endswith(f"not understood; did you mean {meant}?")


@pytest.mark.parametrize("name", HAS_NONE)
def test_flags_that_have_no_twin_here_say_what_to_do(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config([f"--{name}", "4"])
    assert str(caught.value) == f"flags: '--{name}' '4' not understood; {HAS_NONE[name]}"


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("--learning-rate 0.1", "'--learning-rate' '0.1'"),
        ("--preset quick", "'--preset' 'quick'"),
        ("--double_q", "'--double_q'"),
        ("--save-every 5 --no-eval-worker --settings=1,2", "'--no-eval-worker' '--settings=1,2'"),
    ],
)
def test_flags_of_new_runs_are_no_flags_of_a_resumed_one(words: str, given: str) -> None:
    for arguments in (["--resume", "runs/NAME", *words.split()], [*words.split(), "--resume=runs/NAME"]):
        with pytest.raises(UsageError) as caught:
            parse_resume(arguments)
        assert str(caught.value) == (
            f"flags: {given} not allowed with --resume: a resumed run keeps its own; "
            "only --save-every, --save-minutes and --task may be given"
        )


def test_a_resumed_run_takes_the_flags_of_saves() -> None:
    read = parse_resume("--save_minutes 2 --resume runs/NAME --save-every 5".split())
    assert read == ResumeOptions(Path("runs/NAME"), 5, 2.0)
    with pytest.raises(UsageError, match="did you mean --save-every"):
        parse_resume("--resume runs/NAME --save-evry 5".split())


def test_hints_name_flags_that_exist() -> None:
    ours = {flag_of(name) for kind in (Config, ResumeOptions) for name in field_texts(kind)}
    assert {meant.split()[0] for meant in OF_OTHERS.values()} <= ours
    assert not {f"--{name}" for name in (*OF_OTHERS, *HAS_NONE)} & ours
    assert complaint(Options, "x --needed 1 --gamma 1") == "flags: '--gamma' '1' not understood; --help lists all"


def test_the_texts_of_fields_are_read_from_below_them() -> None:
    assert field_texts(Options)["rates"] == "Numbers of which 90% are small."
    assert "named" not in field_texts(Options)
    assert set(field_texts(Config)) == set(Config.__dataclass_fields__)


def test_help_shows_a_field_without_a_text_and_a_percent_sign(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        read("--help")
    assert left.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "usage: test [flags] WHERE" in text and "of which 90% are small. (each from -9 to 9; default: empty)" in text
    assert "--named NAME=X,... (default: empty)" in text
    assert "--colour NAME, --paint NAME Alias. (one of red, blue, or none; default: none)" in text


@pytest.mark.parametrize("run", [train_command, main])
def test_version(run, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        assert run(["--version"]) == 0
    except SystemExit as left:
        assert left.code == 0
    assert capsys.readouterr().out == f"{version()}\n"
    assert version().startswith("dqn-mer ")


@pytest.mark.parametrize("words", ["['--help']", "['--gamma', '0.9']", "['--settings', '1', '2']"])
def test_help_and_mistakes_answer_without_loading_torch(words: str) -> None:
    script = f"import sys; from dqn_mer.commands.train import main as train_command\ntry: train_command({words})\n"
    script += "except SystemExit: pass\nassert not {'torch', 'tensorboard', 'matplotlib', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, capture_output=True)
