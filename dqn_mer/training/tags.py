"""What a run shows in TensorBoard and keeps as CSV: every tag with its meaning, and the charts of several tags."""

from __future__ import annotations

from collections.abc import Sequence

from dqn_mer.runs.charts import Layout, layout_of
from dqn_mer.runs.tag_table import tag_table

LOGGED: dict[str, str] = {
    "train/score": "Score of the training episodes that ended since the last row, mean, in the game's points.",
    "train/return": "Undiscounted return of the training episodes that ended since the last row, mean.",
    "train/episode_length": "Length of the training episodes that ended since the last row, mean, in frames.",
    "train/loss": "Huber loss, mean over the examples of this frame's update, before it.",
    "train/td_error": "Absolute temporal-difference error, mean over the examples of this frame's update, before it.",
    "train/q_mean": "Q value, mean over all actions of the update's examples, before it, in discounted return.",
    "train/q_max": "Largest Q value of any action of the update's examples, before it, in discounted return.",
    "train/epsilon": "Probability of a random action, 0 to 1.",
    "train/gradient_norm": "Euclidean norm, over all weights, of the gradient of train/loss.",
    "train/update_norm": "Euclidean norm, over all weights, of the change that this frame's whole update made.",
    "memory/fill": "Share of the replay memory in use, 0 to 1.",
    "memory/megabytes": "Size of the replay memory, in MB; pixels are kept compressed.",
    "memory/age_mean_frames": "Age of the stored transitions, mean, in frames.",
    "memory/age_std_frames": "Spread (standard deviation) of the stored transitions' ages, in frames.",
    "memory/share/<setting>": "Share of the stored transitions that come from this setting, 0 to 1.",
    "gradients/dot_within": "Dot product of two examples' loss gradients, same setting, mean: positive is transfer.",
    "gradients/dot_between": "Dot product of two examples' loss gradients, different settings, mean.",
    "gradients/cosine_within": "Cosine between two examples' loss gradients, same setting, mean, -1 to 1.",
    "gradients/cosine_between": "Cosine between two examples' loss gradients, different settings, mean, -1 to 1.",
    "gradients/cosine_q_within": "The same without the sign of the temporal-difference errors: of Q, same setting.",
    "gradients/cosine_q_between": "The same of Q, different settings.",
    "gradients/same_sign_within": "1 for two errors of one sign, -1 for opposite signs, same setting, mean.",
    "gradients/same_sign_between": "1 for two errors of one sign, -1 for opposite signs, different settings, mean.",
    "plasticity/dormant_share": "Share of hidden units whose mean activation is at most 0.025 of their layer's (ReDo).",
    "plasticity/feature_rank": "Effective rank (srank, delta 0.01) of the last hidden layer's features, at most 128.",
    "plasticity/weight_norm": "Euclidean norm of all weights.",
    "speed/frames_per_s": "Training frames per second of wall time since the last row.",
    "setting/index": "Place of the setting in force in the list of settings, from 0. The agent is never told.",
    "setting/<parameter>": "Value of the game parameter in force, in the game's own unit. The agent is never told.",
    "updates/count": "Replay updates done since the start of the run.",
    "updates/target_syncs": "Copies of the network into the target network since the start of the run.",
}
"""The columns of metrics.csv, in order, with their meanings; <setting> and <parameter> stand for names."""
SHOWN: dict[str, str] = {
    "eval_score/<setting>": "Greedy evaluation on this setting: score of an episode, mean, in the game's points.",
    "eval_score/mean": "Mean of eval_score over all settings.",
    "eval_mean/<game>": "The same as eval_score/mean, under the game's name: two games never share this chart.",
    "eval_total_reward/<setting>": "Greedy evaluation on this setting: undiscounted return of an episode, mean.",
    "eval_total_frames/<setting>": "Greedy evaluation on this setting: length of an episode, mean, in frames.",
    "final/<metric>": "At the end of the run: a continual-learning metric of summary.json (also under HParams).",
    "config": "Text: the configuration of the run.",
    "learning_curves": "Image: score on every setting so far, at each border of the schedule and at the end.",
    "frames/<setting>": "Image: frames 0, 20, 40, 60 of play under this setting: random at step 0, then the agent's.",
    "clips/<setting>": "Image: an animation of the agent's play under this setting, if `watch --tensorboard` added it.",
}
"""Tags that only TensorBoard shows, with their meanings; <metric> and <game> stand for names."""


def chart_layout(game: str, setting_names: Sequence[str], parameter_name: str) -> Layout:
    """Return the charts of Custom Scalars: one for each setting first, in which a curve is a run; then all in one."""
    each = {name: f"eval_score/{name}" for name in setting_names}
    overlays = {
        f"{title} on every setting": [f"{tag}/{name}" for name in setting_names]
        for title, tag in (("score", "eval_score"), ("return", "eval_total_reward"), ("length", "eval_total_frames"))
    }
    return layout_of(
        game,
        setting_names,
        ("score", "setting"),
        {"mean over the settings": f"eval_mean/{game}", **each},
        {**overlays, f"{parameter_name} in force": [f"setting/{parameter_name}"]},
    )


def tags_as_markdown() -> str:
    """Return the table of all tags for docs/logging.md."""
    return tag_table({**LOGGED, **SHOWN})


def metric_columns(setting_names: Sequence[str], parameter_name: str) -> list[str]:
    """Return the tags of `LOGGED`, names filled in."""
    columns = []
    for tag in LOGGED:
        filled = tag.replace("<parameter>", parameter_name)
        columns += [filled.replace("<setting>", name) for name in setting_names] if "<" in filled else [filled]
    return columns
