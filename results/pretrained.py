"""Make the pretrained agents of the package, dqn_mer/pretrained/, from finished runs of the protocol.

``python results/pretrained.py RUNS`` takes, for each game, observation and agent, the runs RUNS/PART/GAME/AGENT/seed-N
that are finished, as ``python results/protocol.py run`` makes them, and exports the last checkpoint of the seed whose
last evaluation has the highest mean score over all settings. An agent without a finished run stays as it is.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from rich.console import Console

from dqn_mer.analysis.runs import Run, load_run
from dqn_mer.evaluation.agent_options import ExportOptions
from dqn_mer.evaluation.export import export_agent
from dqn_mer.evaluation.pretrained import PRETRAINED

GAMES = ("catcher", "flappy_bird")
PARTS = ("state", "pixels")
"""Parts of the protocol, each named after what its agents see."""
AGENTS = ("dqn", "dqn-mer")


def finished_runs(folder: Path) -> list[Run]:
    """Return the finished runs ``seed-N`` of an arm, by seed."""
    runs = [load_run(path.parent) for path in folder.glob("seed-*/summary.json")]
    return sorted(runs, key=lambda run: int(run.config["seed"]))


def last_score(run: Run) -> float:
    """Return the mean score over all settings in a run's last evaluation."""
    return float(run.scores[-1].mean())


def choose(runs: Sequence[Run]) -> tuple[Run, str]:
    """Return the run whose last evaluation is best, the first of equal ones, and a sentence for the card."""
    best = max(runs, key=last_score)
    score = f"{last_score(best):.1f}"
    if len(runs) == 1:
        return best, f"It is of the only run of this agent that was finished, with a mean score of {score} at its end."
    seeds = ", ".join(str(run.config["seed"]) for run in runs)
    rule = f"whose last evaluation has the highest mean score over all settings, {score}"
    return best, f"Of the {len(runs)} runs of this agent (seeds {seeds}), it is of the one {rule}."


def make_all(out: Path, pretrained: Path = PRETRAINED, episodes: int = 100) -> None:
    """Replace each agent that has a finished run.

    Args:
        out: Folder of the runs.
        pretrained: Folder of the agents.
        episodes: Episodes a setting for the scores in a card.
    """
    for part, game, agent in product(PARTS, GAMES, AGENTS):
        name, runs = f"{game}-{part}-{agent}", finished_runs(out / part / game / agent)
        if not runs:
            print(f"{name}: no finished run, left as it is")
            continue
        run, note = choose(runs)
        with tempfile.TemporaryDirectory() as scratch:
            options = ExportOptions(run.path, Path(scratch) / name, license="mit", episodes=episodes)
            folder = export_agent(options, Console(quiet=True), note)
            shutil.rmtree(pretrained / name, ignore_errors=True)
            shutil.copytree(folder, pretrained / name)
        print(f"{name}: seed {run.config['seed']}, the best of {len(runs)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    make_all(parser.parse_args().runs)
