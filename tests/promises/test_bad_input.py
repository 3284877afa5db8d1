"""Whatever is typed or handed in: a valid run, or one line that names field and value, exit code 2, and no trace."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import continual_ple
from continual_ple.games.catalogue import GAMES
from continual_ple.schedule_files import load_schedule
from dqn_mer.config.command_line import parse_config
from dqn_mer.config.config import ALLOWED, Config
from dqn_mer.config.fields import Allowed, allowed_values
from dqn_mer.config.flag_words import UsageError
from dqn_mer.config.flags import parse
from dqn_mer.config.task import game_task
from dqn_mer.evaluation.agent_options import EvaluateOptions, WatchOptions
from tests.helpers.profiles import tries

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
# No NUL: a word of a command line cannot hold one. Surrogates stand for bytes that are not UTF-8.
WORDS = st.text(st.characters(exclude_characters="\0"), max_size=12)
NUMBERS = st.integers().map(str) | st.floats().map(str) | st.sampled_from(["1e400", "-0", "0x10", "1_0", " 5 ", "٣"])
NASTY = st.sampled_from(
    ["", "none", "--help=1", "-1", "nan", "inf", ",", "=", "a=1,a=2", "../x", "[/red]", "%s", "\n", "true"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def numbers_in(allowed: Allowed) -> st.SearchStrategy[str]:
    """Return numbers on, around and between the ends of a field's range, as words."""
    low, high = allowed.range.low, allowed.range.high
    inside = st.integers(low, high) if allowed.range.whole else st.floats(low, high)
    return (inside | st.sampled_from([low, high, low - 1, high + 1, low / 2, high * 2])).map(str)


def words_for(allowed: Allowed) -> st.SearchStrategy[str]:
    """Return words for a field that are likely to be close to allowed ones, and any others."""
    likely = WORDS
    if allowed.choices:
        likely = st.sampled_from(allowed.choices)
    elif allowed.range is not None:
        likely = numbers_in(allowed)
    if allowed.kind is tuple:
        likely = st.lists(numbers_in(allowed) if allowed.range else NUMBERS, max_size=4).map(",".join)
    if allowed.kind not in (tuple, int, float, str, Path):
        parameters = st.sampled_from([entry.name for game in GAMES.values() for entry in game.parameter_table]) | WORDS
        likely = st.lists(st.tuples(parameters, NUMBERS).map("=".join), max_size=3).map(",".join)
    return likely | NUMBERS | NASTY | WORDS


@st.composite
def command_lines(draw: st.DrawFn, fields: dict[str, Allowed]) -> list[str]:
    """Return flags for some fields, in either spelling, now and then with a word that belongs nowhere."""
    words: list[str] = []
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=5)):
        if fields[name].kind is bool:
            words.append(draw(st.sampled_from([flag(name), flag("no_" + name)])))
            continue
        word = draw(words_for(fields[name]))
        words += draw(st.sampled_from([[flag(name), word], [f"{flag(name)}={word}"]]))
    if draw(st.integers(0, 9)) == 0:
        words.insert(draw(st.integers(0, len(words))), draw(WORDS | NASTY | st.sampled_from([flag(n) for n in fields])))
    return words


def asks_for_help(words: Sequence[str]) -> bool:
    return bool({"-h", "--help"} & set(words))


def one_line(text: str) -> bool:
    return bool(text.strip()) and len(text.splitlines()) == 1


@tries(40)
@pytest.mark.parametrize("kind", [EvaluateOptions, WatchOptions])
@given(data=st.data())
def test_any_flags_are_options_or_one_line(kind: type, data: st.DataObject) -> None:
    words = data.draw(command_lines({name: each for name, each in allowed_values(kind).items() if name != "path"}))
    if asks_for_help(words):
        return
    try:
        parse(kind, [*words, "runs/NAME"], prog="test")
    except (UsageError, ValueError) as error:
        assert one_line(" ".join(str(error).split()))


@tries(50)
@given(command_lines(ALLOWED))
def test_any_flags_are_a_configuration_or_one_line(words: list[str]) -> None:
    if asks_for_help(words):
        return
    try:
        config = parse_config(words)
    except (UsageError, ValueError) as error:
        assert one_line(" ".join(str(error).split()))
    else:
        assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_no_game_is_answered_with_the_games() -> None:
    for name in ("", " ", "a/b"):
        with pytest.raises(ValueError, match=f"^game='{name}': must be one of catcher, flappy_bird, or"):
            parse_config(["--game", name])


@tries(50)
@given(st.data())
def test_one_bad_flag_is_named_with_its_value_and_what_is_allowed(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name, allowed in ALLOWED.items() if allowed.range or allowed.choices]))
    word = data.draw(words_for(ALLOWED[name]).filter(lambda word: not word.startswith("-")))
    try:
        config = parse_config([flag(name), word])
    except (UsageError, ValueError) as error:
        message = str(error)
        if "must be left at" in message or "needs" in message:  # allowed, but not with the other defaults
            return
        assert message.startswith(f"{name}=")
        assert all(part in message for part in ALLOWED[name].choices or [ALLOWED[name].range.span()])
    else:
        ALLOWED[name].check(name, getattr(config, name))


@tries(80)
@given(st.dictionaries(st.sampled_from(sorted(ALLOWED)) | st.text(max_size=4), JSON, max_size=3) | JSON)
def test_any_json_is_a_configuration_or_one_line(changes: Any) -> None:
    values = {**Config().to_json(), **changes} if isinstance(changes, dict) else changes
    try:
        config = Config.from_json(values)
    except ValueError as error:
        assert one_line(" ".join(str(error).split()))
    else:
        assert Config.from_json(config.to_json()) == config


@st.composite
def broken_schedules(draw: st.DrawFn) -> bytes:
    """Return the bytes of a schedule file, mostly one of whose values is something else."""
    value: Any = {
        "frames_per_setting": draw(st.integers(1, 20)),
        "settings": [{"name": name, "parameters": {"pipe_gap": gap}} for name, gap in (("a", 100), ("b", 80))],
        "order": [0, 1, 0],
    }
    if draw(st.integers(0, 3)) > 0:
        place = value
        while isinstance(place, (dict, list)) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if draw(st.booleans()) or not isinstance(place[key], (dict, list)):
                place[key] = draw(JSON)
                break
            place = place[key]
    text = json.dumps(value).encode()
    cut = draw(st.integers(0, len(text)) | st.just(len(text)))
    return text[:cut] + draw(st.just(b"") | st.binary(max_size=4))


@SAME_FOLDER
@given(broken_schedules())
def test_any_schedule_file_is_a_schedule_or_one_line(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "schedule.json"
    path.write_bytes(data)
    try:
        schedule = load_schedule(path, "flappy_bird")
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and one_line(str(error))
    else:
        assert game_task(Config(game="flappy_bird", schedule=path)).schedule == schedule
    assert path.read_bytes() == data


def test_endless_files_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^/dev/zero: must be a plain file$"):
        load_schedule("/dev/zero", "catcher")


@tries(60)
@pytest.mark.parametrize("game", GAMES)
@given(data=st.data())
def test_any_parameters_are_an_environment_or_one_line(game: str, data: st.DataObject) -> None:
    """All parameters together through ``gymnasium.make``: what is accepted is played, and stays within its space."""
    others = JSON | st.sampled_from([np.float32(0.5), np.int64(3), np.nan, np.inf, 10**400, 1j, b"x"])
    arguments: dict[str, Any] = {}
    for entry in data.draw(st.lists(st.sampled_from(GAMES[game].parameter_table), unique=True)):
        number = st.integers(int(entry.low), int(entry.high)) if entry.whole else st.floats(entry.low, entry.high)
        arguments[entry.name] = data.draw(number | number | number | others)
    choices = {
        "observation": st.sampled_from(["state", "pixels"]), "rounding": st.sampled_from(["nearest", "truncate", None]),
        "backend": st.just("native"), "fixed_looks": st.booleans(), "frame_stack": st.integers(1, 6),
        "zebra": st.nothing(),
    }  # fmt: skip
    for name in data.draw(st.lists(st.sampled_from(sorted(choices)), unique=True, max_size=3)):
        arguments[name] = data.draw(choices[name] | choices[name] | others)
    try:
        env = gymnasium.make(continual_ple.ENV_IDS[game], **arguments)
    except ValueError as error:
        message = str(error)
        assert one_line(message) and any(name in message for name in arguments)
        return
    env.action_space.seed(0)
    assert env.reset(seed=0)[0] in env.observation_space
    for _ in range(20):
        observation, reward, terminated, truncated, _ = env.step(env.action_space.sample())
        assert observation in env.observation_space and np.isfinite(reward)
        if terminated or truncated:
            env.reset()
    assert np.isfinite(env.unwrapped.game.state()).all()
    env.close()
