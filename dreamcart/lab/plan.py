"""Lists of experiments: what to run, and what the runs must show.

A list is a YAML file; wrong ones are refused.
"""

import copy
import functools
import math
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml

from dreamcart.core.errors import UserError
from dreamcart.core.files import fingerprint, read_yaml
from dreamcart.core.paths import ROOT
from dreamcart.params import Params, Share, build

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")  # also a name of a DVC experiment and of a file
NUMBER = r"[-+]?\d*\.?\d+"
BAR = re.compile(rf"(?P<sign>[<>]=?|=) *(?P<one>{NUMBER})|(?P<low>{NUMBER}) to (?P<high>{NUMBER})")
Minutes = Annotated[float, (0.0, 10_000.0)]


@dataclass(frozen=True)
class Check:
    """A command on the models of a run, in the checkout where it ran; "{game}" stands for its game.

    `writes` names the file of metrics/<game>/ that it leaves (without .json); without one, the
    metric is "passed", 1 where the command succeeded and 0 where not.
    """

    command: str
    writes: str = ""


@dataclass(frozen=True)
class Setting:
    """Overrides that runs share; `quick` ones are added in the quick set."""

    full: list[str]
    quick: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Experiment:
    """One entry of `runs`: overrides in the order settings, set, (quick) quick; run as far as
    `stage`.

    `minutes` are estimates for one seed, in the full and in the quick set.
    """

    asks: str = ""
    settings: list[str] = field(default_factory=list)
    set: list[str] = field(default_factory=list)
    quick: list[str] = field(default_factory=list)
    stage: str = "rollout_eval"
    seeds: Annotated[int, (1, 100)] = 1
    checks: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    minutes: list[Minutes] = field(default_factory=lambda: [0.0, 0.0])


@dataclass(frozen=True)
class Criterion:
    """What must be shown: a value and its bar, or a picture.

    `value` is "run:file.key", a metric of metrics/<game>/<file>.json; a last key "a|b" takes the
    first that all have. Of several runs ("one,two:key") `pick` says which counts. `minus` and
    `over` are such metrics too: a value is then the difference or the ratio, seed by seed. `bar` is
    "< 0.02", "> 1", "<= 1", ">= 1", "= 1" or "0.5 to 2". `learned` is what the runs taught, `tried`
    the analysis of a miss.
    """

    says: str
    value: str = ""
    minus: str = ""
    over: str = ""
    pick: Literal["min", "max"] = "min"
    bar: str = ""
    picture: str = ""
    learned: str = ""
    tried: str = ""


@dataclass(frozen=True)
class Item:
    """An item of the roadmap."""

    asks: str
    criteria: list[Criterion]
    learned: str = ""


@dataclass(frozen=True)
class Plan:
    """A whole list.

    `columns` are rows of `scripts/run.py`'s table, `items` those of the roadmap's page.
    """

    title: str
    runs: dict[str, Experiment]
    all: list[str] = field(default_factory=list)
    settings: dict[str, Setting] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    pictures_most: Share = 0.1  # megabytes of a picture on the page


@dataclass(frozen=True)
class Run:
    """One run of an experiment: with a seed, in the full or in the quick set."""

    plan: str  # name of the list
    experiment: str
    own: Experiment
    overrides: tuple[str, ...]
    seed: int
    quick: bool

    @property
    def name(self) -> str:
        return f"{self.experiment}-s{self.seed}"

    @property
    def reference(self) -> str:
        """Its name among DVC's experiments."""
        return f"{self.plan}-{'quick-' * self.quick}{self.name}"

    @property
    def minutes(self) -> float:
        return self.own.minutes[self.quick]

    @property
    def command(self) -> list[str]:
        target = [] if self.own.stage == "rollout_eval" else [self.own.stage]
        changes = [part for change in self.overrides for part in ("-S", change)]
        return ["dvc", "exp", "run", "-n", self.reference, *changes, *target]


def load_plan(path: Path) -> Plan:
    """Read and check a list. Raises UserError where something in it is unknown or leads nowhere."""
    values = read_yaml(
        path,
        f"There is no list of experiments {path}; those of this repository are in experiments/.",
    )
    if not isinstance(values, dict):
        raise UserError(f"{path.name} must be a mapping with title and runs.")
    runs = values.get("runs")
    if isinstance(runs, dict):  # a plain list of overrides is an experiment of nothing else
        values["runs"] = {
            name: {"set": own} if isinstance(own, list) else own for name, own in runs.items()
        }
    try:
        plan = build(Plan, values, "")
        _check_plan(plan)
    except UserError as problem:
        raise UserError(f"{path.name}: {str(problem).removeprefix('params: ')}") from None
    return plan


def _check_plan(plan: Plan) -> None:
    for name, own in plan.runs.items():
        if not NAME.fullmatch(name):
            raise UserError(f"the run {name!r} needs a name of letters, digits, - and _.")
        for kind, given, known in (
            ("setting", own.settings, plan.settings),
            ("check", own.checks, plan.checks),
        ):
            for entry in given:
                if entry not in known:
                    raise UserError(
                        f"the run {name!r} names a {kind} {entry!r}; there are"
                        f" {', '.join(known) or 'none'}."
                    )
        if own.stage not in stages():
            raise UserError(
                f"the run {name!r} ends with the stage {own.stage!r}; there are"
                f" {', '.join(stages())}."
            )
        if len(own.minutes) != 2:
            raise UserError(
                f"the run {name!r} needs two minutes, of the full and of the quick set."
            )
    for item, own in plan.items.items():
        for criterion in own.criteria:
            where = f"{item}, {criterion.says!r}"
            if bool(criterion.value) == bool(criterion.picture) or bool(criterion.value) != bool(
                criterion.bar
            ):
                raise UserError(f"{where} needs a value and its bar, or a picture.")
            if criterion.bar and not BAR.fullmatch(criterion.bar):
                raise UserError(
                    f"{where} has the bar {criterion.bar!r}; allowed: '< 1', '>= 1', '= 1' or '0.5"
                    " to 2'."
                )
            for metric in filter(
                None, (criterion.value, criterion.minus, criterion.over, criterion.picture)
            ):
                if metric.count(":") != 1:
                    raise UserError(f"{where}: {metric!r} is not of the form run:key.")
                for run in runs_of(metric):
                    if run not in plan.runs:
                        raise UserError(f"{where} names the run {run!r}, which is not in the list.")
            if criterion.picture:
                (run,), picture = runs_of(criterion.picture), criterion.picture.split(":")[1]
                if picture not in plan.runs[run].pictures:
                    raise UserError(
                        f"{where} shows {picture}, which is not among the pictures of {run!r}."
                    )


def runs_of(metric: str) -> list[str]:
    """The runs of "run:key" or "one,two:key"."""
    return [run.strip() for run in metric.split(":", 1)[0].split(",")]


def holds(bar: str, value: float) -> bool:
    """Whether `value` meets the bar."""
    found = BAR.fullmatch(bar)
    if found["low"]:
        return float(found["low"]) <= value <= float(found["high"])
    wanted = float(found["one"])
    if math.isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-12):
        return "=" in found["sign"]
    return {"<": value < wanted, ">": value > wanted, "=": False}[found["sign"][0]]


def expand(
    plan: Plan, name: str, only: list[str], quick: bool, seeds: int | None = None
) -> list[Run]:
    """The runs of a list, first all with seed 0, then those with the next: a stopped night has
    something on every row.

    Args:
        name: of the list; only: experiments to run, all if empty; seeds: in place of each
            experiment's own number.

    Raises:
        UserError: an experiment is unknown, or an override does not fit params.yaml.
    """
    unknown = [entry for entry in only if entry not in plan.runs]
    if unknown:
        raise UserError(f"There is no experiment {unknown[0]!r}; there are {', '.join(plan.runs)}.")
    runs = []
    for experiment, own in plan.runs.items():
        if only and experiment not in only:
            continue
        changes = list(plan.all)
        for setting in (plan.settings[entry] for entry in own.settings):
            changes += [*setting.full, *(setting.quick if quick else [])]
        changes += [*own.set, *(own.quick if quick else [])]
        for seed in range(seeds or own.seeds):
            # the last of a key counts
            last = dict(change.partition("=")[::2] for change in [*changes, f"seed={seed}"])
            runs.append(
                Run(
                    name,
                    experiment,
                    own,
                    tuple(f"{key}={value}" for key, value in last.items()),
                    seed,
                    quick,
                )
            )
    return sorted(runs, key=lambda run: run.seed)


@functools.cache
def stages() -> dict[str, dict[str, Any]]:
    """The stages of dvc.yaml, in their order."""
    return yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def stages_of(run: Run) -> list[str]:
    """The stages that a run goes through: a chain, up to its own last one."""
    names = list(stages())
    return names[: names.index(run.own.stage) + 1]


def changed_params(overrides: tuple[str, ...], values: dict[str, Any] | None = None) -> Params:
    """params.yaml (or `values` of it) with overrides applied.

    Raises UserError where one is not accepted.
    """
    values = values or yaml.safe_load((ROOT / "params.yaml").read_text())
    values = copy.deepcopy(values)
    for change in overrides:
        key, equals, text = change.partition("=")
        *sections, name = key.split(".")
        place = values
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not equals or not isinstance(place, dict) or name not in place:
            raise UserError(f"The override {change!r} names no setting of params.yaml.")
        place[name] = yaml.safe_load(text)
    return build(Params, values, "")


def stage_prints(run: Run, values: dict[str, Any]) -> dict[str, str]:
    """For each stage of the run, a fingerprint of the params that it and those before it track;
    `values` are those of params.yaml. Runs with the same one make the same of a stage.
    """
    values = asdict(changed_params(run.overrides, values))
    prints: dict[str, str] = {}
    tracked: set[str] = set()
    for stage in stages_of(run):
        tracked |= set(stages()[stage]["params"])
        prints[stage] = fingerprint({key: values[key] for key in sorted(tracked)})
    return prints


def params_print(run: Run, values: dict[str, Any]) -> str:
    """Fingerprint of the params that the run's stages track; `values` are those of params.yaml."""
    return stage_prints(run, values)[run.own.stage]
