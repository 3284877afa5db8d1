"""A stand-in for the commands of Slurm: one machine without a queue, on which a test warns, cancels and kills jobs.

Copied to files named sbatch, srun, sacct, scontrol and scancel, it is those commands. All that it knows is in the
folder ``SLURM_STAND_IN``: for each job its state, the process of its task, and a mark if it is to be queued again.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "scontrol", "scancel")


def install(folder: Path) -> Path:
    """Put the commands into a new folder and return it."""
    folder.mkdir()
    for name in COMMANDS:
        (folder / name).write_text(f"#!{sys.executable}\n{Path(__file__).read_text()}")
        (folder / name).chmod(0o755)
    return folder


def process_of(state: Path, job: str) -> int:
    """Return the number of the process of a job."""
    return int((state / f"{job}.process").read_text())


def sbatch(state: Path, script: str) -> None:
    """Start the job, or the array of jobs, that a script describes."""
    text = Path(script).read_text()
    if "--partition=nowhere" in text:
        sys.exit("sbatch: error: invalid partition specified: nowhere")
    number = 7 + len(list(state.glob("*.sh")))
    shutil.copy(script, state / f"{number}.sh")
    subprocess.Popen(
        [sys.executable, __file__, "run", str(number)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    print(f"Submitted batch job {number}")


def run(state: Path, number: str) -> None:
    """Run all jobs of a number, as many at once as the script allows."""
    array = re.search(r"--array=0-(\d+)%(\d+)", (state / f"{number}.sh").read_text())
    jobs = [f"{number}_{place}" for place in range(int(array[1]) + 1)] if array else [number]
    with ThreadPoolExecutor(int(array[2]) if array else 1) as pool:
        for job in jobs:
            pool.submit(run_one, state, number, job)


def run_one(state: Path, number: str, job: str) -> None:
    """Run a job for as long as it is queued again."""
    place = job.partition("_")[2]
    variables = {"SLURM_ARRAY_JOB_ID": number, "SLURM_ARRAY_TASK_ID": place} if place else {}
    while not (state / f"{number}.cancelled").exists():
        (state / f"{job}.state").write_text("RUNNING")
        script = ["bash", str(state / f"{number}.sh")]
        code = subprocess.run(script, env={**os.environ, "SLURM_JOB_ID": job, **variables}, check=False).returncode
        (state / f"{job}.process").unlink(missing_ok=True)
        (state / f"{job}.state").write_text("FAILED" if code else "COMPLETED")
        if not (state / f"{job}.again").exists():
            return
        (state / f"{job}.again").unlink()


def srun(state: Path, *words: str) -> None:
    """Become the task of a job."""
    command = list(words[words.index(sys.executable) :])
    job = os.environ["SLURM_JOB_ID"]
    for stream, name in ((1, "--output"), (2, "--error")):
        path = re.sub("%A_%a|%j", job, words[words.index(name) + 1]).replace("%t", "0")
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), stream)
    (state / f"{job}.process").write_text(str(os.getpid()))
    os.execv(command[0], command)


def sacct(state: Path, *words: str) -> None:
    """Print the state of every job."""
    print("JobID|State|NodeList")
    for path in sorted(state.glob("*.state")):
        print(f"{path.stem}|{path.read_text()}|here")


def scontrol(state: Path, verb: str, job: str) -> None:
    """Queue a job again."""
    assert verb == "requeue"
    (state / f"{job}.again").touch()


def scancel(state: Path, number: str) -> None:
    """Ask all jobs of a number to end, as Slurm does before it kills them."""
    (state / f"{number}.cancelled").touch()
    for path in state.glob(f"{number}*.process"):
        os.kill(int(path.read_text()), signal.SIGTERM)


if __name__ == "__main__":
    name, *arguments = sys.argv if Path(sys.argv[0]).name in COMMANDS and sys.argv[1:2] != ["run"] else sys.argv[1:]
    globals()[Path(name).name](Path(os.environ["SLURM_STAND_IN"]), *arguments)
