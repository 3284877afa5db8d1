"""Where the import of Numba fails, autograd does everything, and a run says so; what needs no Numba loads none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dqn_mer.fast import choose
from dqn_mer.fast.choose import make_forward, make_learner, make_mini_batch
from dqn_mer.fast.kernels import dense
from dqn_mer.losses import HuberTDLoss
from dqn_mer.mer import AutogradLearner
from dqn_mer.mini_batch import MiniBatchUpdate
from dqn_mer.networks.optimizers import make_optimizer
from dqn_mer.networks.q_network import build_network
from dqn_mer.networks.weights import FlatWeights
from dqn_mer.runs.folder import versions

ROOT = Path(__file__).parents[2]
FAILURES = {
    "missing": "ModuleNotFoundError(\"No module named 'numba'\")",
    "numpy": "ImportError('Numba needs NumPy 2.4 or less. Got NumPy 2.5.')",
    "old": "SystemError('initialization of _internal failed')",
    "llvmlite": "OSError('Could not load\\nshared object file')",
}
"""What may be raised where it is imported."""


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_any_failure_of_the_import_is_a_reason_in_one_line(
    failure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "numba.py").write_text(f"raise {failure}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    error = eval(failure)
    line = f"{type(error).__name__}: {error}".replace("\n", " ")
    assert dense.import_compiler() == (None, line)


def test_a_run_learns_by_autograd_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text(f"raise {FAILURES['llvmlite']}")
    run, path = tmp_path / "run", os.pathsep.join([str(tmp_path), str(ROOT), str(ROOT / "envs")])
    flags = "--observation=state --frames=20 --warmup-frames=5 --eval-episodes=1 --eval-frame-limit=5 --no-eval-worker"
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "train.py"), *flags.split(), f"--run-dir={run}"],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "Numba" in line and not line.startswith("loading")]
    reason = "OSError: Could not load shared object file"
    assert line == f"Numba cannot be imported, so PyTorch's autograd learns, more slowly ({reason})"
    assert json.loads((run / "summary.json").read_text())["updates"] == 15
    assert "numba" not in json.loads((run / "config.json").read_text())["versions"]


def test_nothing_is_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (choose, dense):
        monkeypatch.setattr(module, "COMPILED", False)
    for shape in ((4,), (4, 36, 36)):
        weights = FlatWeights(build_network(shape, 2, (8,), 0))
        optimizer = make_optimizer("adam", weights, 0.1)
        assert type(make_learner(weights, HuberTDLoss(), optimizer)) is AutogradLearner
        assert type(make_mini_batch(weights, HuberTDLoss(), optimizer, 4)) is MiniBatchUpdate
        assert make_forward(weights) is weights.model
    assert "numba" not in versions()


def test_no_help_loads_numba() -> None:
    code = """
        import contextlib, io, sys
        from dqn_mer.__main__ import main
        for command in ("train", "evaluate", "sweep", "compare", "watch", "play"):
            with contextlib.redirect_stdout(io.StringIO()) as shown, contextlib.suppress(SystemExit):
                main([command, "--help"])
            assert command in shown.getvalue() and "numba" not in sys.modules, command
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
