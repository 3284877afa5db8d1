"""The learning curves of one run, a comparison of one group: its score on every setting over training."""

from __future__ import annotations

import io
from pathlib import Path

from dqn_mer.analysis.comparison import Comparison, Group, agent_label
from dqn_mer.analysis.drawing import TEXT
from dqn_mer.analysis.runs import Run
from dqn_mer.analysis.score_figures import compared_curves
from dqn_mer.storage.escapes import figure_text
from dqn_mer.storage.files import replace_file

DPI = 200


def save_learning_curves(run: Run) -> Path:
    """Draw `compared_curves` of a run alone, write learning_curves.png into its folder, and return its path."""
    config = run.config
    label = agent_label(config)
    figure = compared_curves(Comparison(config["game"], (Group(label, (run,), 0),), label, run.frames, ())).figure
    game = config["game"].replace("_", " ").title()
    title = f"{game}: {label}, {config['observation']} observations, seed {config['seed']}"
    figure.suptitle(figure_text(title), fontsize=TEXT)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    path = run.path / "learning_curves.png"
    replace_file(path, picture.getvalue())
    return path
