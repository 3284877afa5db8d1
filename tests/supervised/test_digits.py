"""What a newcomer gets: the quick comparison on the digits of the extra ``digits``, with every default."""

from __future__ import annotations

from pathlib import Path

from dqn_mer.analysis.runs import load_run
from dqn_mer.supervised.command import supervised
from dqn_mer.supervised.options import SupervisedOptions, plan
from tests.helpers.stream_runs import QUIET

# Seeds 0, 1, 2 gave a retained accuracy of 17 to 24 (online), 30 to 41 (EWC), 56 to 60 (GEM), 65 to 70 (ER) and 67 to
# 69 (MER), and a backward transfer and interference of -6.9 to -4.0 (ER) and +0.9 to +2.0 (MER).


def test_the_quick_preset_orders_the_learners(tmp_path: Path) -> None:
    options = SupervisedOptions(preset="quick", learner=("online", "ewc", "er", "mer-7"), out=tmp_path)
    assert supervised(options, console=QUIET) == 0
    online, ewc, er, mer = (load_run(spec.run_dir).metrics for spec in plan(options))
    assert online["retained_accuracy"] + 5 < ewc["retained_accuracy"]
    assert ewc["retained_accuracy"] + 20 < min(er["retained_accuracy"], mer["retained_accuracy"])
    assert mer["backward_transfer_interference"] > er["backward_transfer_interference"] + 4
