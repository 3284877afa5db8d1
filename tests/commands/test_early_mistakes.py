"""Mistakes that can be known without PyTorch are reported before it is loaded, which takes seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dqn_mer

ROOT = Path(dqn_mer.__file__).parents[1]
MISTAKES = {
    "train --game tetris": "game='tetris': must be one of catcher, flappy_bird",
    "train --schedule missing.json": "missing.json: cannot be read: No such file or directory",
    "train --settings 99": "fall_speed=99.0: must be a number from 0.03 to 2 (px/ms)",
    "train --game-parameters foo=1": "game_parameters.foo=1.0: must be one of the parameters of catcher: width, ",
    "train --run-dir there": "run_dir='there': exists already; must be a new folder",
    "train --log-dir file/new": "log_dir='file/new': cannot be written: ",
    "train --task cartpole": "task='cartpole': must be MODULE:NAME, ",
    "train --resume there --task cartpole": "resume='there': must be the folder of a run",
    "train --resume missing": "resume='missing': must be the folder of a run",
    "train --resume there": "resume='there': must be the folder of a run",
    "evaluate missing": "missing: must be a checkpoint or a run folder",
    "evaluate there": "there: must be a checkpoint or a run folder",
    "evaluate pretrained/missing": "pretrained/missing: must be a path, or a pretrained agent of ",
    "evaluate hf://missing": "hf://missing: must be hf://USER/REPO",
    "evaluate pretrained/catcher-state-dqn --json file": "json='file': exists already; must be a new file",
    "evaluate pretrained/catcher-state-dqn --task cartpole": "task='cartpole': must be MODULE:NAME, ",
    "watch missing": "missing: must be a checkpoint or a run folder",
    "watch pretrained/catcher-state-dqn --out there": "out='there': exists already; must be a new folder",
    "export missing new": "missing: must be a checkpoint or a run folder",
    "export pretrained/catcher-state-dqn there": "out='there': exists already; must be a new folder",
    "play tetris": "game='tetris': must be one of catcher, flappy_bird",
    "play catcher --against missing": "missing: must be a checkpoint or a run folder",
    "compare missing --out new": "runs='missing': must be a run folder, or hold some, with a summary.json",
    "compare there --out there": "out='there': is not empty; must be a new folder, unless overwrite is given",
    "supervised --data missing": "data='missing': must be a folder with IDX files or images",
    "supervised --out file/new": "out='file/new': cannot be written: ",
    "sweep --settings 99": "fall_speed=99.0: must be a number from 0.03 to 2 (px/ms)",
    "sweep --task cartpole": "task='cartpole': must be MODULE:NAME, ",
    "sweep --out file/new": "out='file/new': cannot be written: ",
}
SCRIPT = """
import contextlib, io, json, sys
from dqn_mer.__main__ import main
outcomes = {}
for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(io.StringIO()) as error:
        code = main(words.split())
    loaded = [name for name in ("torch", "numba", "tensorboard", "matplotlib", "scipy") if name in sys.modules]
    outcomes[words] = code, output.getvalue(), error.getvalue(), loaded
print(json.dumps(outcomes))
"""


def test_what_needs_no_pytorch_is_checked_before_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "note.txt").write_text("")
    (tmp_path / "file").write_text("")
    before = sorted(tmp_path.rglob("*"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(list(MISTAKES))], capture_output=True, text=True, check=True,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "envs")])},
    )  # fmt: skip
    outcomes = json.loads(done.stdout)
    assert list(outcomes) == list(MISTAKES)
    for words, (code, output, error, loaded) in outcomes.items():
        assert (code, output, loaded) == (2, "", []), words
        assert error.startswith(f"error: {MISTAKES[words]}") and error.count("\n") == 1, error
    assert sorted(tmp_path.rglob("*")) == before
