"""Make the pretrained agents of the package, dqn_mer/pretrained/, from finished runs of the protocol.

``python results/pretrained.py RUNS`` takes, for each game, observation and agent, the seed whose last evaluation has
the highest mean score over all settings, of the runs that ``protocol.py keep`` put into results/evidence/, and exports
its last checkpoint from RUNS/PART/GAME/AGENT/seed-N, where ``protocol.py run`` made it. If an agent is of that run
already, only its card is brought up to date: remove its folder to make it anew. One whose best run is not in RUNS stays
as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from rich.console import Console

from dqn_mer.analysis.runs import Run, load_run
from dqn_mer.config.config import ALLOWED
from dqn_mer.evaluation.agent_options import ExportOptions
from dqn_mer.evaluation.export import export_agent
from dqn_mer.evaluation.pretrained import PRETRAINED

GAMES = ("catcher", "flappy_bird")
PARTS = ("state", "pixels")
"""Parts of the protocol, each named after what its agents see."""
AGENTS = ("dqn", "dqn-mer")
EVIDENCE = Path(__file__).parent / "evidence"


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


def is_of(agent: Path, run: Run) -> bool:
    """Return whether a pretrained agent was exported from a run, by its options."""
    description = agent / "checkpoint.json"
    if not description.is_file():
        return False
    options = json.loads(description.read_text())["config"]
    return all(options.get(name) == value for name, value in run.config.items() if ALLOWED[name].kind is not Path)


def make_all(out: Path, kept: Path = EVIDENCE, pretrained: Path = PRETRAINED, episodes: int = 100) -> None:
    """Replace each agent whose best run is at hand.

    Args:
        out: Folder of the runs.
        kept: Folder of the small files of all finished runs, of which the best are chosen.
        pretrained: Folder of the agents.
        episodes: Episodes a setting for the scores in a card.
    """
    for part, game, agent in product(PARTS, GAMES, AGENTS):
        name, runs = f"{game}-{part}-{agent}", finished_runs(kept / part / game / agent)
        if not runs:
            print(f"{name}: no finished run, left as it is")
            continue
        best, note = choose(runs)
        seed = best.config["seed"]
        run = out / best.path.relative_to(kept)
        if is_of(pretrained / name, best):
            card = pretrained / name / "README.md"
            card.write_text(re.sub(r"^(Of the \d+ runs|It is of the only run) .*$", note, card.read_text(), flags=re.M))
            print(f"{name}: seed {seed} still, the best of {len(runs)}")
        elif (run / "checkpoints").is_dir():
            with tempfile.TemporaryDirectory() as scratch:
                options = ExportOptions(run, Path(scratch) / name, license="mit", episodes=episodes)
                folder = export_agent(options, Console(quiet=True), note)
                shutil.rmtree(pretrained / name, ignore_errors=True)
                shutil.copytree(folder, pretrained / name)
            print(f"{name}: seed {seed}, the best of {len(runs)}")
        else:
            print(f"{name}: the best is seed {seed}, which is not in {out}; left as it is")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path)
    make_all(parser.parse_args().runs)
