"""Runs experiments through `dvc exp run`, one or several at a time, and records what they showed.

They run in clones of their own (see dreamcart/lab/clone.py), so that nobody's work is touched. A
run that was killed goes on in the middle of its training. Finished experiments are fetched into
this repository, for `dvc exp show`.
"""

import fcntl
import os
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from dreamcart.core.errors import UserError
from dreamcart.core.files import fingerprint, read_json, write_json
from dreamcart.core.paths import ROOT, below
from dreamcart.core.reports import read_report
from dreamcart.core.tables import print_table
from dreamcart.lab.clone import Clone, TooLongError, call
from dreamcart.lab.code import played, without_others
from dreamcart.lab.log import began, curve, said_last
from dreamcart.lab.machine import cores, device
from dreamcart.lab.plan import (
    Plan,
    Run,
    changed_params,
    params_print,
    stage_prints,
    stages,
    stages_of,
)
from dreamcart.lab.results import result_path, save_picture
from dreamcart.lab.side_by_side import side_by_side

PICTURES = ROOT / "docs"
MADE = ("data/", "models/")  # deps that stages make, not code
SECONDS_ONLY = {"game"}  # stages so short that several runs may make them at once
# its unit is the minute of the estimates
BAR = "{desc}: {percentage:.0f} % |{bar}| {elapsed} gone, {remaining} left{postfix}"


class Runner:
    """Runs the experiments of one list.

    Args:
        root: the repository; results, pictures: where results and pictures go, by default its
            experiments/results and docs.
        jobs: runs at a time, no more than `cores()`, of which each has its share (OMP_NUM_THREADS).
        limit: minutes that a run may take, interruptions left out; one that takes more is recorded
            as failed, and not tried again.
    """

    def __init__(
        self,
        plan: Plan,
        root: Path = ROOT,
        results: Path | None = None,
        pictures: Path | None = None,
        jobs: int = 1,
        limit: float | None = None,
    ) -> None:
        self.plan, self.root, self.jobs, self.limit = plan, root, jobs, limit
        self.results, self.pictures = results, pictures or PICTURES
        self.logs = root / ".dvc" / "tmp" / "experiments-logs"
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        }
        self.environment.pop("GIT_DIR", None)
        if jobs > 1:
            self.environment["OMP_NUM_THREADS"] = str(cores() // jobs)

    def git(self, *command: str) -> str:
        """Output of a git command in the repository. Raises UserError where it fails."""
        return call("git", *command, at=self.root, environment=self.environment)

    def prints(self, run: Run) -> dict[str, str]:
        """Fingerprints of what decides a run's result: its params, and the committed code of its
        stages and checks (of the dynamics and of the games, that of its own).
        """
        deps = {
            dep
            for stage in stages_of(run)
            for dep in stages()[stage]["deps"]
            if not dep.startswith(MADE)
        }
        said = [
            part
            for check in run.own.checks
            for part in shlex.split(self.plan.checks[check].command)
        ]
        files = [
            part.split("::")[0] for part in said if (self.root / part.split("::")[0]).is_file()
        ]
        scripts = [file for file in files if file.endswith(".py")]
        tree = self.git(
            "ls-tree",
            "-r",
            "HEAD",
            "--",
            *sorted({*deps, *files, *played(scripts, self.root), "requirements.lock"}),
        )
        values = yaml.safe_load(self.git("show", "HEAD:params.yaml"))
        params = changed_params(run.overrides, values)
        tree = without_others(tree, params.dynamics_kind, params.game, self.root)
        return {
            "params": params_print(run, values),
            "code": fingerprint(tree, [stages()[stage]["cmd"] for stage in stages_of(run)], said),
        }

    def done(self, run: Run) -> bool:
        """Whether this very run is on record: the same params on the same code."""
        path = result_path(run, self.results)
        return path.is_file() and read_json(path)["fingerprint"] == self.prints(run)

    def run_all(self, runs: list[Run]) -> bool:
        """Run what is not done yet; a failed run is told and left behind. Returns whether all are
        done now.

        Raises UserError, before anything runs, where an override is not accepted or others are at
        work.
        """
        for run in runs:
            changed_params(run.overrides)
        states = {run.reference: "done before" for run in runs}
        left = [run for run in runs if not self.done(run)]
        with self._alone():
            if left and self.git(
                "status",
                "--porcelain",
                "--",
                "dreamcart",
                "stages",
                "games",
                "dvc.yaml",
                "params.yaml",
            ):
                tqdm.write("Changes that are not committed are not part of the runs.")
            total = sum(run.minutes for run in left) or len(left)
            with tqdm(total=total, desc="experiments", bar_format=BAR, disable=not left) as bar:

                def ended(run: Run, problem: str) -> None:
                    states[run.reference] = problem or "done"
                    if problem:
                        bar.write(f"{run.reference} failed: {problem}")
                    bar.update(run.minutes or 1)

                clones = [
                    Clone(self.root, number, self.environment) for number in range(1, self.jobs + 1)
                ]
                side_by_side(
                    left,
                    self._makes(left),
                    clones,
                    self._attempt,
                    lambda busy: bar.set_postfix_str(names(busy)),
                    ended,
                )
        rows = [
            [run.reference, states[run.reference], self._minutes(run), run.minutes] for run in runs
        ]
        print_table(f"{self.plan.title}: runs", ["run", "state", "minutes", "estimate"], rows)
        return all(state in ("done", "done before") for state in states.values())

    def _minutes(self, run: Run) -> float | None:
        path = result_path(run, self.results)
        return round(read_json(path)["seconds"] / 60, 1) if path.is_file() else None

    def _makes(self, runs: list[Run]) -> dict[str, set[str]]:
        """Of each run by its reference, the fingerprints of the stages that it should not make
        while another one does.
        """
        params = yaml.safe_load(self.git("show", "HEAD:params.yaml"))
        prints = {run.reference: stage_prints(run, params) for run in runs}
        return {
            name: {text for stage, text in own.items() if stage not in SECONDS_ONLY}
            for name, own in prints.items()
        }

    def _attempt(self, run: Run, clone: Clone) -> str:
        """Run, check and record. Returns what went wrong, nothing if all is well."""
        try:
            clone.prepare()
            prints = self.prints(run)
            self.logs.mkdir(parents=True, exist_ok=True)
            log, clock = (
                self.logs / f"{run.reference}{name}"
                for name in (".log", f"-{fingerprint(prints)}.begin")
            )
            begin = began(clock, log)
            left = None if self.limit is None else max(1.0, begin + 60 * self.limit - time.time())
            try:
                if clone.run(run.command, log, "w", left):
                    return f"{said_last(log)} ({log.relative_to(self.root)})"
            except TooLongError:
                problem = f"not done in {self.limit:g} minutes; it was at: {said_last(log)}"
                self._record_failed(run, clone, prints, time.time() - begin, problem)
                clock.unlink()
                return problem
            seconds = time.time() - begin
            reference = clone.publish(run)
            self._record(run, clone, prints, seconds, reference, log)
            clock.unlink()
        except UserError as problem:
            return str(problem)
        return ""

    def _record_failed(
        self, run: Run, clone: Clone, prints: dict[str, str], seconds: float, problem: str
    ) -> None:
        told = {"experiment": run.experiment, "seed": run.seed, "quick": run.quick}
        told |= {"failed": problem, "commit": clone.git("rev-parse", "HEAD")}
        told |= {"command": shlex.join(run.command), "fingerprint": prints, "device": device()}
        told |= {"seconds": round(seconds, 1), "metrics": {}, "pictures": {}}
        write_json(result_path(run, self.results), told)

    def _record(
        self,
        run: Run,
        clone: Clone,
        prints: dict[str, str],
        seconds: float,
        reference: str,
        log: Path,
    ) -> None:
        game = changed_params(run.overrides).game
        metrics: dict[str, Any] = {}
        for stage in stages_of(run):
            for entry in stages()[stage].get("metrics", []):
                path = clone.path / next(iter(entry)).replace("${game}", game)
                metrics[path.stem] = read_report(path)
            for entry in stages()[stage].get("plots", []):
                (path, how), *_ = entry.items()
                if how.get("y") == "val":
                    metrics[f"{Path(path).stem}_curve"] = curve(
                        clone.path / path.replace("${game}", game)
                    )
        for name in run.own.checks:
            metrics |= self._check(name, game, clone, log)
        pictures = {}
        for name in run.own.pictures if run.seed == 0 else []:
            kept = f"{'quick-' * run.quick}{run.experiment}-{Path(name).stem}.png"
            source, to = (
                below(clone.path / "plots", game, name),
                below(self.pictures, run.plan, kept),
            )
            save_picture(source, to, round(self.plan.pictures_most * 1e6))
            pictures[name] = to.relative_to(self.pictures).as_posix()
        path = result_path(run, self.results)
        before = read_json(path) if path.is_file() else {"fingerprint": {}, "seconds": 0}
        # stages that DVC's cache restored would hide what they took
        if before["fingerprint"].get("params") == prints["params"]:
            seconds = max(seconds, before["seconds"])
        write_json(
            path,
            {
                "experiment": run.experiment,
                "seed": run.seed,
                "quick": run.quick,
                "reference": run.reference,
                "revision": self.git("rev-parse", reference),
                "commit": clone.git("rev-parse", "HEAD"),
                "command": shlex.join(run.command),
                "fingerprint": prints,
                "seconds": round(seconds, 1),
                "device": device(),
                # at a time; with several, speeds are of a share of the machine, beside other work
                "jobs": self.jobs,
                "threads": int(self.environment.get("OMP_NUM_THREADS") or cores()),
                "metrics": metrics,
                "pictures": pictures,
            },
        )

    def _check(self, name: str, game: str, clone: Clone, log: Path) -> dict[str, Any]:
        """The metrics that a check leaves.

        Raises UserError where it should have written some and did not.
        """
        own = self.plan.checks[name]
        path = below(clone.path / "metrics", game, f"{own.writes or name}.json")
        path.unlink(missing_ok=True)
        command = [
            sys.executable if part == "python" else part.replace("{game}", game)
            for part in shlex.split(own.command)
        ]
        status = clone.run(command, log)
        if not own.writes:
            return {name: {"passed": int(status == 0)}}
        if status or not path.is_file():
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
                raise UserError(
                    "Experiments are being run here already; wait for them, or stop them first."
                ) from None
            yield


def names(runs: list[Run]) -> str:
    """What the bar says of the runs under way."""
    return ", ".join(run.reference for run in runs)
