"""The learning curves of one run, a comparison of one group: its score on every setting over training."""

from __future__ import annotations

import io

from dqn_mer.analysis.comparison import Comparison, Group, agent_label
from dqn_mer.analysis.drawing import TEXT
from dqn_mer.analysis.runs import Run
from dqn_mer.analysis.score_figures import compared_curves
from dqn_mer.storage.escapes import figure_text
from dqn_mer.storage.files import replace_file

DPI = 200


def learning_curves(run: Run, frames: int | None = None) -> bytes:
    """Draw `compared_curves` of a run alone and return the picture as PNG.

    Args:
        run: The run, or what there is of it so far.
        frames: Frame at which the axes end; that of the last evaluation by default.
    """
    config = run.config
    label = agent_label(config)
    figure = compared_curves(Comparison(config["game"], (Group(label, (run,), 0),), label, run.frames, ())).figure
    if frames is not None:
        for panel in figure.axes:
            panel.set_xlim(0, frames / 1000)
    game = config["game"].replace("_", " ").title()
    title = f"{game}: {label}, {config['observation']} observations, seed {config['seed']}"
    figure.suptitle(figure_text(title), fontsize=TEXT)
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=DPI)
    figure.clear()
    return picture.getvalue()


def save_learning_curves(run: Run) -> bytes:
    """Write `learning_curves` as learning_curves.png into the folder of a run, and return the picture."""
    picture = learning_curves(run)
    replace_file(run.path / "learning_curves.png", picture)
    return picture
