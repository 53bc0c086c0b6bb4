"""Runs experiments through `dvc exp run`, one after another, and records what they showed.

They run in a clone of their own (.dvc/tmp/experiments) at the committed state, so that nobody's work is touched, with the
repository's cache: what two runs share is made once. The clone stays, and with it the checkpoints: a run that was killed
goes on in the middle of its training. Finished experiments are fetched into this repository, for `dvc exp show`.
"""

import csv
import fcntl
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from dreamcart.errors import ROOT, UserError
from dreamcart.experiments.code import without_others
from dreamcart.experiments.plan import Plan, Run, changed_params, params_print, stages, stages_of
from dreamcart.experiments.results import result_path, save_picture
from dreamcart.files import fingerprint, read_json, write_json
from dreamcart.tables import print_table

PICTURES = ROOT / "docs"
MADE = ("data/", "models/")  # deps that stages make, not code
BAR = "{desc}: {percentage:.0f} % |{bar}| {elapsed} gone, {remaining} left{postfix}"  # its unit is the minute of the estimates


class Runner:
    """Runs the experiments of one list.

    Args:
        root: the repository; results, pictures: where results and pictures go, by default its experiments/results and docs.
    """

    def __init__(self, plan: Plan, root: Path = ROOT, results: Path | None = None, pictures: Path | None = None) -> None:
        self.plan, self.root = plan, root
        self.results, self.pictures = results, pictures or PICTURES
        self.clone = root / ".dvc" / "tmp" / "experiments"
        self.logs = root / ".dvc" / "tmp" / "experiments-logs"
        self.environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.environment.pop("GIT_DIR", None)

    def git(self, *command: str, at: Path | None = None) -> str:
        """Output of a git command in the repository (or `at`). Raises UserError where it fails."""
        return self._call("git", *command, at=at)

    def _call(self, *command: str, at: Path | None = None) -> str:
        done = subprocess.run(command, cwd=at or self.root, env=self.environment, text=True, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.strip().splitlines()
            raise UserError(f"`{' '.join(command)}` failed: {said[-1] if said else 'no message'}.")
        return done.stdout.strip()

    def prints(self, run: Run) -> dict[str, str]:
        """Fingerprints of what decides a run's result: its params, and the committed code of its stages and checks (of
        the dynamics, that of its own family)."""
        deps = {dep for stage in stages_of(run) for dep in stages()[stage]["deps"] if not dep.startswith(MADE)}
        said = [part for check in run.own.checks for part in shlex.split(self.plan.checks[check].command)]
        files = [part.split("::")[0] for part in said if (self.root / part.split("::")[0]).is_file()]
        tree = self.git("ls-tree", "-r", "HEAD", "--", *sorted({*deps, *files, "requirements.lock"}))
        params = yaml.safe_load(self.git("show", "HEAD:params.yaml"))
        tree = without_others(tree, changed_params(run.overrides, params).dynamics_kind, self.root)
        return {
            "params": params_print(run, params),
            "code": fingerprint(tree, [stages()[stage]["cmd"] for stage in stages_of(run)], said),
        }

    def done(self, run: Run) -> bool:
        """Whether this very run is on record: the same params on the same code."""
        path = result_path(run, self.results)
        return path.is_file() and read_json(path)["fingerprint"] == self.prints(run)

    def run_all(self, runs: list[Run]) -> bool:
        """Run what is not done yet; a failed run is told and left behind. Returns whether all are done now.

        Raises UserError, before anything runs, where an override is not accepted or others are at work.
        """
        for run in runs:
            changed_params(run.overrides)
        states = {run.reference: "done before" for run in runs}
        left = [run for run in runs if not self.done(run)]
        with self._alone():
            if left and self.git("status", "--porcelain", "--", "dreamcart", "stages", "games", "dvc.yaml", "params.yaml"):
                tqdm.write("Changes that are not committed are not part of the runs.")
            total = sum(run.minutes for run in left) or len(left)
            bar = tqdm(total=total, desc="experiments", bar_format=BAR, disable=not left)
            for run in left:
                bar.set_postfix_str(run.reference)
                problem = self._attempt(run)
                states[run.reference] = problem or "done"
                if problem:
                    bar.write(f"{run.reference} failed: {problem}")
                bar.update(run.minutes or 1)
            bar.close()
        rows = [[run.reference, states[run.reference], self._minutes(run), run.minutes] for run in runs]
        print_table(f"{self.plan.title}: runs", ["run", "state", "minutes", "estimate"], rows)
        return all(state in ("done", "done before") for state in states.values())

    def _minutes(self, run: Run) -> float | None:
        path = result_path(run, self.results)
        return round(read_json(path)["seconds"] / 60, 1) if path.is_file() else None

    def _attempt(self, run: Run) -> str:
        """Run, check and record. Returns what went wrong, nothing if all is well."""
        try:
            self._prepare()
            prints, begin = self.prints(run), time.time()
            self.logs.mkdir(parents=True, exist_ok=True)
            log = self.logs / f"{run.reference}.log"
            with open(log, "w") as output:
                done = subprocess.run(
                    run.command, cwd=self.clone, env=self.environment, stdout=output, stderr=subprocess.STDOUT, check=False
                )
            if done.returncode:
                return f"{said_last(log)} ({log.relative_to(self.root)})"
            seconds = time.time() - begin
            reference = self._publish(run)
            self._record(run, prints, seconds, reference, log)
        except UserError as problem:
            return str(problem)
        return ""

    def _prepare(self) -> None:
        """The clone as the last commit has it; ignored files (data, models, checkpoints) stay."""
        commit = self.git("rev-parse", "HEAD")
        if not (self.clone / ".git").exists():
            self.clone.parent.mkdir(parents=True, exist_ok=True)
            self.git("clone", "-q", "--shared", "--no-checkout", str(self.root), str(self.clone))
        self.git("fetch", "-q", str(self.root), "HEAD", at=self.clone)
        for reference in self.git("for-each-ref", "--format=%(refname)", "refs/exps", at=self.clone).split():
            self.git("update-ref", "-d", reference, at=self.clone)  # finished ones are fetched; others are of a killed run
        self.git("checkout", "-q", "-f", "--detach", commit, at=self.clone)
        self.git("clean", "-fdq", at=self.clone)
        (self.clone / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)  # of a killed run: nobody else is at work here
        if not (self.clone / ".dvc" / "config.local").is_file():
            cache = self._call("dvc", "cache", "dir")
            self._call("dvc", "config", "--local", "cache.dir", str((self.root / cache).resolve()), at=self.clone)

    def _publish(self, run: Run) -> str:
        """Fetch the finished experiment into the repository, in place of an older one of its name. Returns its reference."""
        ours = self.git("for-each-ref", "--format=%(refname)", "refs/exps/", at=self.clone).split()
        reference = next((ref for ref in ours if ref.endswith("/" + run.reference)), None)
        if reference is None:
            raise UserError("DVC left no experiment; look into its log")
        self.git("fetch", "-q", str(self.clone), f"+{reference}:{reference}")
        return reference

    def _record(self, run: Run, prints: dict[str, str], seconds: float, reference: str, log: Path) -> None:
        game = changed_params(run.overrides).game
        metrics: dict[str, Any] = {}
        for stage in stages_of(run):
            for entry in stages()[stage].get("metrics", []):
                path = self.clone / next(iter(entry)).replace("${game}", game)
                metrics[path.stem] = read_json(path)
            for entry in stages()[stage].get("plots", []):
                (path, how), *_ = entry.items()
                if how.get("y") == "val":
                    metrics[f"{Path(path).stem}_curve"] = curve(self.clone / path.replace("${game}", game))
        for name in run.own.checks:
            metrics |= self._check(name, game, log)
        pictures = {}
        for name in run.own.pictures if run.seed == 0 else []:
            to = self.pictures / run.plan / f"{'quick-' * run.quick}{run.experiment}-{Path(name).stem}.png"
            save_picture(self.clone / "plots" / game / name, to, round(self.plan.pictures_most * 1e6))
            pictures[name] = to.relative_to(self.pictures).as_posix()
        path = result_path(run, self.results)
        before = read_json(path) if path.is_file() else {"fingerprint": {}, "seconds": 0}
        if before["fingerprint"].get("params") == prints["params"]:  # stages that DVC's cache restored would hide what they took
            seconds = max(seconds, before["seconds"])
        write_json(
            path,
            {
                "experiment": run.experiment,
                "seed": run.seed,
                "quick": run.quick,
                "reference": run.reference,
                "revision": self.git("rev-parse", reference),
                "commit": self.git("rev-parse", "HEAD"),
                "command": shlex.join(run.command),
                "fingerprint": prints,
                "seconds": round(seconds, 1),
                "device": device(),
                "metrics": metrics,
                "pictures": pictures,
            },
        )

    def _check(self, name: str, game: str, log: Path) -> dict[str, Any]:
        """The metrics that a check leaves. Raises UserError where it should have written some and did not."""
        own = self.plan.checks[name]
        path = self.clone / "metrics" / game / f"{own.writes or name}.json"
        path.unlink(missing_ok=True)
        with open(log, "a") as output:
            command = [sys.executable if part == "python" else part.replace("{game}", game) for part in shlex.split(own.command)]
            done = subprocess.run(
                command, cwd=self.clone, env=self.environment, stdout=output, stderr=subprocess.STDOUT, check=False
            )
        if not own.writes:
            return {name: {"passed": int(done.returncode == 0)}}
        if done.returncode or not path.is_file():
            raise UserError(f"its check {name}: {said_last(log)} ({log.relative_to(self.root)})")
        return {own.writes: read_json(path)}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time. Raises UserError where another is at work."""
        path = self.root / ".dvc" / "tmp" / "experiments.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError("Experiments are being run here already; wait for them, or stop them first.") from None
            yield


def curve(path: Path) -> dict[str, float]:
    """A training's validation: the first, the best and the last value."""
    with open(path, newline="") as handle:
        values = [float(row["val"]) for row in csv.DictReader(handle)]
    return {"first": values[0], "best": min(values), "last": values[-1]}


def said_last(log: Path) -> str:
    """The sentence that says why a command failed: a stage's own "error: …", else DVC's, else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").replace("\r", "\n").splitlines() if line.strip()]
    for begin in ("error: ", "ERROR: "):
        for line in reversed(lines):
            if line.startswith(begin):
                return line.removeprefix(begin)
    return lines[-1] if lines else "it said nothing"


def device() -> str:
    """What runs compute on, in words: a GPU by name, or the CPU and how many cores of it."""
    import torch

    from dreamcart.hardware import pick_device

    chosen = pick_device()
    if chosen.type == "cuda":
        return f"GPU: {torch.cuda.get_device_name(chosen)}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return f"{'CPU' if chosen.type == 'cpu' else 'Apple GPU'}: {names[0] if names else platform.machine()}, {cores} cores"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []
