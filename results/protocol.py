"""Run the experiments of PROTOCOL.md, play their saved agents, and keep their small files.

``python results/protocol.py run --part state --out OUT`` runs what is missing, seed by seed over all arms, each run on
one thread, and resumes what was stopped. ``play OUT`` plays every saved agent, 50 episodes a setting, into plays.csv of
its run. ``keep OUT`` copies what the report needs to results/evidence/. ``plan`` prints the commands.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tuning import flags, run_trial

from dqn_mer.config.defaults import default_config

Values = dict[str, Any]

GAMES = ("catcher", "flappy_bird")
EPISODES = 50
"""Episodes a setting of the plays after a run."""
PLAY_SEED = 1_000_000
"""Seed of those episodes, the same for every run; no run trains or evaluates on it."""
KEPT = (
    *("config.json", "evaluations.csv", "interference.csv", "matrix.csv", "plays.csv", "agreement.csv"),
    "summary.json",
)
METERED = ("state", "sgd", "pixels", "pixels-controls")
"""Parts whose runs' interference.csv, the largest file, is kept: verdicts and figures read it."""
EVIDENCE = Path(__file__).parent / "evidence"

SGD: dict[tuple[str, str], tuple[float, Values]] = {
    ("catcher", "state"): (0.012, {"target_sync_episodes": 1}),
    ("flappy_bird", "state"): (0.006, {"target_sync_episodes": 1}),
}
"""By game and observation, of the arms with SGD: the product of learning rate and across-batch rate, and the other
values, of the best trial."""


def arms(game: str, observation: str) -> dict[str, Values]:
    """Return what distinguishes each arm from the defaults of its agent, by name."""
    mer = default_config(game=game, observation=observation, agent="dqn-mer")
    return {
        "dqn": {"agent": "dqn"},
        "dqn-reservoir": {"agent": "dqn-reservoir"},
        "dqn-mer": {"agent": "dqn-mer"},
        **({"dqn-mer-sgd": sgd(game, observation, 0.3)} if (game, observation) in SGD else {}),
        "no-reptile": {
            "agent": "dqn-mer",
            "across_batch_rate": 1.0,
            "learning_rate": mer.across_batch_rate * mer.learning_rate,
        },
        "dqn-reservoir-17": {"agent": "dqn-reservoir", "updates_per_frame": 17},
        "random": {"agent": "random"},
        "interleaved": {"agent": "dqn", "interleave_frames": 1_000},
    }


def sgd(game: str, observation: str, gamma: float) -> Values:
    """Return the fields of MER with SGD at the product of learning rate and across-batch rate of the best trial."""
    product, others = SGD[game, observation]
    rates = {"across_batch_rate": gamma, "learning_rate": product / gamma}
    return {"agent": "dqn-mer", "optimizer": "sgd", **rates, **others}


PIXEL_ARMS = {
    "pixels": dict.fromkeys(GAMES, ("dqn", "dqn-mer")),
    "pixels-controls": {"catcher": ("dqn-reservoir",), "flappy_bird": ("dqn-reservoir", "no-reptile")},
}
"""Arms of the parts from pixels, by part and game."""
PIXEL_RUNS: dict[str, Values] = {
    "catcher": {},
    "flappy_bird": {"frames_per_setting": 50_000, "eval_every": 10_000, "frame_skip": 2},
}
"""By game, what all runs from pixels have: Flappy Bird the second length, as many evaluations, and a frame skip."""
COMPARED = ("dqn", "dqn-reservoir", "dqn-mer", "no-reptile")
"""Arms of the map."""
LOWER_RATES = (1e-4, 3e-5)
"""Learning rates of `compute`: that of one update a frame, which `dqn-reservoir-17` has in `state`, is 3e-4."""
RETUNED = {"learning_rate": 1e-4, "target_sync_episodes": 1}
"""Values of `retuned`: the best of later trials on Catcher."""
STAYING = ("dqn", "dqn-reservoir", "dqn-mer", "dqn-mer-sgd")
"""Arms of `stay`."""


class Part(NamedTuple):
    """One part of the protocol.

    Attributes:
        observation: What its agents see.
        seeds: Number of seeds, from 0.
        games: Games that it plays.
    """

    observation: str
    seeds: int
    games: tuple[str, ...] = GAMES

    def runs(self, name: str, game: str) -> Iterator[tuple[str, Values]]:
        """Yield the name and the fields of each run of one seed on one game."""
        table = arms(game, self.observation)
        if self.observation == "pixels":
            yield from ((arm, {**table[arm], **PIXEL_RUNS[game]}) for arm in PIXEL_ARMS[name][game])
        elif name == "state":
            yield from table.items()
        elif name == "stay":
            yield from ((arm, {**table[arm], **STAY[game]}) for arm in STAYING)
        elif name == "retuned":
            yield from ((arm, {**table[arm], **RETUNED}) for arm in ("dqn", "dqn-reservoir"))
        elif name == "compute":
            yield from (
                (f"rate-{rate:g}", {**table["dqn-reservoir-17"], "learning_rate": rate}) for rate in LOWER_RATES
            )
        elif name == "sgd":
            for gamma in (1.0, 0.3, 0.1, 0.03):
                yield f"gamma-{gamma:g}", sgd(game, self.observation, gamma)
        else:
            for cell, values in CELLS[name][game].items():
                yield from ((f"{cell}/{arm}", {**table[arm], **values}) for arm in COMPARED)


PARTS = {
    "state": Part("state", 10),
    "stay": Part("state", 5),
    "pixels": Part("pixels", 5),
    "pixels-controls": Part("pixels", 3),
    "memory": Part("state", 3),
    "sgd": Part("state", 3),
    "switches": Part("state", 3),
    "change": Part("state", 3),
    "target": Part("state", 3),
    "compute": Part("state", 3),
    "retuned": Part("state", 10, ("catcher",)),
}
"""By name, in the order in which they are run."""

STAY = {
    "catcher": {"settings": (0.0608, 0.0908, 0.1208), "frames": 150_000},
    "flappy_bird": {"settings": (100, 95, 90), "frames": 150_000},
}
"""The first half of the settings, the last of which stays for the frames of the others."""
SETTINGS = {
    "catcher": {"settings": (1.344, 0.7, 2.4, 1.0), "vary": "paddle_speed"},
    "flappy_bird": {"settings": (1.0, 0.6, 1.4, 0.8), "vary": "gravity"},
}
"""A change that is not nested: what is learned on one setting is wrong on another."""
HARD_TO_EASY = {
    "catcher": {"settings": (0.2108, 0.1808, 0.1508, 0.1208, 0.0908, 0.0608)},
    "flappy_bird": {"settings": (75, 80, 85, 90, 95, 100)},
}
CELLS: dict[str, dict[str, dict[str, Values]]] = {
    "memory": {game: {f"capacity-{size}": {"capacity": size} for size in (500, 5_000)} for game in GAMES},
    "switches": {game: {"often": {"frames_per_setting": 2_500, "cycles": 10}} for game in GAMES},
    "change": {game: {"not-nested": SETTINGS[game], "hard-to-easy": HARD_TO_EASY[game]} for game in GAMES},
    "target": {
        game: {"frames-100": {"target_sync_frames": 100}, "episodes-1": {"target_sync_episodes": 1}} for game in GAMES
    },
}
"""By part and game: the cells of the map, each with what it changes."""


def planned(part: str, out: Path, seeds: int | None = None) -> list[tuple[Path, list[str]]]:
    """Return the folder and flags of every run of a part: seed by seed, all arms and games of one before the next."""
    description = PARTS[part]
    return [
        (
            out / part / game / name / f"seed-{seed}",
            flags({"game": game, "observation": description.observation, "seed": seed, **values}),
        )
        for seed in range(description.seeds if seeds is None else min(seeds, description.seeds))
        for game in description.games
        for name, values in description.runs(part, game)
    ]


def play(folder: Path) -> None:
    """Play every saved agent of a finished run on every setting, and write one row for each setting and checkpoint.

    Of a run with more saved agents than settings only the last plays.
    """
    from rich.console import Console

    from dqn_mer.evaluation.agent_options import EvaluateOptions
    from dqn_mer.evaluation.saved_agent import evaluate_checkpoint

    saved = sorted((folder / "checkpoints").iterdir())
    settings = json.loads((folder / "config.json").read_text())["schedule"]["settings"]
    rows = []
    for checkpoint in saved if len(saved) <= len(settings) else saved[-1:]:
        options = EvaluateOptions(path=checkpoint, episodes=EPISODES, seed=PLAY_SEED)
        result = evaluate_checkpoint(options, Console(quiet=True))
        for setting in result["settings"]:
            low, high = setting["score_interval_95"]
            numbers = {"score_mean": setting["score_mean"], "score_low": low, "score_high": high}
            length = {"length_mean_frames": setting["length_mean_frames"]}
            rows.append({"frame": result["frame"], "setting": setting["setting"], **numbers, **length})
    scratch = folder / "plays.csv.part"
    with scratch.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    scratch.replace(folder / "plays.csv")
    print(f"played: {folder}", flush=True)


def finished(out: Path) -> list[Path]:
    """Return the folders of finished runs below a folder."""
    return sorted(path.parent for path in out.glob("**/summary.json"))


def keep(out: Path, evidence: Path) -> None:
    """Copy the small files of every finished run; a script's command is kept as seen from the repository."""
    for folder in finished(out):
        target = evidence / folder.relative_to(out)
        target.mkdir(parents=True, exist_ok=True)
        part = folder.relative_to(out).parts[0]
        for name in KEPT if part in METERED else [name for name in KEPT if name != "interference.csv"]:
            if (folder / name).exists():
                text = (folder / name).read_text()
                (target / name).write_text(re.sub(r"python \S*/results/", "python results/", text))


def main() -> None:
    """Plan, run, play or keep, as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (("plan", "print the commands"), ("run", "run what is missing")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--part", choices=list(PARTS), required=True)
        command.add_argument("--seeds", type=int, help="number of seeds, if not all")
        command.add_argument("--jobs", type=int, default=2)
        command.add_argument("--out", type=Path, default=Path("out"), required=name == "run")
    for name, text in (("play", "play the saved agents"), ("keep", "copy the small files to results/evidence")):
        command = commands.add_parser(name, help=text)
        command.add_argument("out", type=Path)
        command.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if options.command in ("plan", "run"):
        runs = planned(options.part, options.out, options.seeds)
        if options.command == "plan":
            print(*(f"python train.py {shlex.join(words)}" for _, words in runs), sep="\n")
            return
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(run_trial, runs))
    elif options.command == "play":
        saved = [folder for folder in finished(options.out) if (folder / "checkpoints").is_dir()]
        waiting = [folder for folder in saved if not (folder / "plays.csv").exists()]
        with ProcessPoolExecutor(options.jobs) as processes:
            list(processes.map(play, waiting))
    else:
        keep(options.out, EVIDENCE)


if __name__ == "__main__":
    main()
