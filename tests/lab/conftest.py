"""A small repository in which experiments run."""

import subprocess
import sys

import pytest

from dreamcart.core.paths import ROOT

FAKE_DVC = """#!{python}
# Stands for DVC: writes the metrics and pictures of a run and leaves its reference; breaks, dies
# or waits where it is told to.
import json, os, signal, subprocess, sys, time
from pathlib import Path
if sys.argv[1:3] == ["cache", "dir"]:
    print(".dvc/cache")
elif sys.argv[1] == "config":
    Path(".dvc/config.local").write_text(" ".join(sys.argv[2:]))
else:
    control, name = Path({control!r}), sys.argv[sys.argv.index("-n") + 1]
    checkpoints = Path(os.environ["DREAMCART_CHECKPOINTS"])
    found = sorted(path.name for path in checkpoints.glob("*"))
    def event(what):
        with open(control / "events", "a") as events:
            threads = os.environ.get("OMP_NUM_THREADS")
            told = [what, name, Path.cwd().name, threads, os.getpid()]
            events.write(json.dumps(told) + "\\n")
    event("begin")
    with open(control / "log", "a") as log:
        seen = [found, Path("params.yaml").read_text()[:9], sorted(os.listdir("."))]
        log.write(json.dumps([name, sys.argv[1:], *seen]) + "\\n")
    begun = lambda: sum('"begin"' in line for line in (control / "events").read_text().splitlines())
    waits = control / ("meet-" + name)
    for _ in range(1000):
        if waits.exists() and begun() < int(waits.read_text()):
            time.sleep(0.02)
    if (control / ("break-" + name)).exists():
        print("error: The loss became nan.")
        sys.exit(1)
    if (control / ("die-" + name)).exists():
        (control / ("die-" + name)).unlink()
        checkpoints.mkdir()
        (checkpoints / "half").write_text("")
        Path("litter").write_text("")
        Path("params.yaml").write_text("changed")
        head = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()
        subprocess.run(["git", "update-ref", "refs/exps/exec/EXEC_HEAD", head])
        Path(".dvc/tmp").mkdir(exist_ok=True)
        Path(".dvc/tmp/rwlock").write_text("held")
        os.killpg(os.getpgrp(), signal.SIGKILL)
    assert not Path(".dvc/tmp/rwlock").exists()
    folder = Path("metrics/blockfall")
    folder.mkdir(parents=True, exist_ok=True)
    for stage in ("collect", "preprocess", "train_ae", "train_dynamics", "rollout"):
        seed = next(part for part in sys.argv if part.startswith("seed="))
        (folder / (stage + ".json")).write_text(json.dumps({{"name": name, "seed": seed}}))
    details = {{"name": name, "seed": seed, "ssim": 0.5}}
    (folder / "train_ae_details.json").write_text(json.dumps(details))
    plots = Path("plots/blockfall")
    plots.mkdir(parents=True, exist_ok=True)
    (plots / "train_ae.csv").write_text("step,val\\n1,2.0\\n2,1.0\\n")
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()
    reference = "refs/exps/" + head[:2] + "/" + head[2:] + "/" + name
    subprocess.run(["git", "update-ref", reference, head], check=True)
    event("end")
"""


@pytest.fixture
def repository(tmp_path):
    """A git repository with this one's params, and a directory with a `dvc` that only pretends."""
    root, control = tmp_path / "repository", tmp_path / "control"
    for folder in (root / ".dvc", control):
        folder.mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml", "requirements.lock"):
        (root / name).write_bytes((ROOT / name).read_bytes())
    (root / ".gitignore").write_text("/checkpoints/\n/.dvc/tmp\n/.dvc/config.local\n")
    (root / "stages").mkdir()
    (root / "stages" / "train_ae.py").write_text("1\n")
    (root / ".dvc" / "config").write_text("")
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-q", "-m", "a"]):
        subprocess.run(["git", *command], cwd=root, check=True)
    (control / "dvc").write_text(FAKE_DVC.format(python=sys.executable, control=str(control)))
    (control / "dvc").chmod(0o755)
    return root
