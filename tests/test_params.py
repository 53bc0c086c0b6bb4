"""params.yaml, its checks, and dvc.yaml's knowledge of it."""

import ast
import copy
import re
from pathlib import Path

import pytest
import yaml
from toys.synthetic import assert_sentence

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.core.typed import build
from dreamcart.params import Params, load_params

VALUES = yaml.safe_load((ROOT / "params.yaml").read_text())
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def keys_of(values: dict, before: str = "") -> list[str]:
    """Return the names of all settings, those in sections with dots."""
    inner = ((f"{before}{key}", value) for key, value in values.items())
    return [
        name
        for key, value in inner
        for name in (keys_of(value, f"{key}.") if isinstance(value, dict) else [key])
    ]


KEYS = keys_of(VALUES)

MADE = ("data/", "models/", "metrics/")  # what stages write
PLUMBING = {
    f"dreamcart/{name}.py"
    for name in (
        *(
            "core/arguments",
            "core/errors",
            "core/files",
            "core/limits",
            "core/paths",
            "core/provenance",
            "core/reports",
        ),
        *(
            "core/tables",
            "core/tensors",
            "core/tracked",
            "core/typed",
            "params",
            "families",
            "world/cart_pin",
        ),
    )
}
# Imported, but without influence on what the stage writes; each with its reason.
WITHOUT_INFLUENCE = {
    # evaluation/pictures.py imports the models for other pictures than preprocess's pairs.
    "preprocess": {
        "dreamcart/representation",
        "dreamcart/training/loop.py",
        "dreamcart/training/device.py",
    },
    # What the committed cart has on record is printed beside the run's own numbers, and not
    # written.
    "rollout_eval": {"dreamcart/world/cart.py"},
}


def imported_modules(file: Path) -> set[Path]:
    """The dreamcart modules that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    files = [
        ROOT / (name.replace(".", "/") + ".py") for name in names if name.startswith("dreamcart.")
    ]
    return {path for path in files if path.is_file()}


def all_modules(stage: str) -> set[str]:
    """The dreamcart modules that a stage imports, directly or through others."""
    found: set[Path] = set()
    waiting = [ROOT / "stages" / f"{stage}.py"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported_modules(file)
    return {path.relative_to(ROOT).as_posix() for path in found}


def is_under(file: str, places: set[str]) -> bool:
    return any(file == place or file.startswith(f"{place}/") for place in places)


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_tracked_by_a_stage(key):
    """`dvc exp run -S` on a key that no stage tracks silently runs nothing."""
    tracked = {name for stage in STAGES.values() for name in stage.get("params", [])}
    assert key in tracked or key.split(".")[0] in tracked


@pytest.mark.parametrize("stage", STAGES)
def test_stage_depends_on_the_code_it_runs(stage):
    """A stage whose code changed must run again, also where the code is imported by an import."""
    deps = {dep for dep in STAGES[stage]["deps"] if not dep.startswith(MADE)}
    missing = [
        file
        for file in sorted(all_modules(stage))
        if not is_under(file, deps)
        and not is_under(file, PLUMBING | WITHOUT_INFLUENCE.get(stage, set()))
    ]
    assert not missing, f"dvc.yaml: {stage} lacks the deps {missing}"


@pytest.mark.parametrize("stage", STAGES)
def test_deps_exist(stage):
    """A dep that is not there stops the pipeline; those that stages make are left out."""
    assert [
        dep
        for dep in STAGES[stage]["deps"]
        if not dep.startswith(MADE) and not (ROOT / dep).exists()
    ] == []


@pytest.mark.parametrize("key", KEYS)
def test_every_key_has_its_sentence(key):
    """Whoever opens params.yaml finds what a key means right above it."""
    lines = (ROOT / "params.yaml").read_text().splitlines()
    *sections, name = key.split(".")
    at = 0
    for depth, section in enumerate(sections):
        at = lines.index(f"{'  ' * depth}{section}:", at)
    at = next(
        i for i in range(at, len(lines)) if re.match(rf"{'  ' * len(sections)}{name}:", lines[i])
    )
    assert re.fullmatch(r" *# .*\.", lines[at - 1])


def test_the_repositorys_own_params_are_valid():
    """The defaults must pass the checks they are held to."""
    assert load_params().game == VALUES["game"]


def with_value(key: str, value: object) -> dict:
    return with_values({key: value})


def with_values(changes: dict[str, object]) -> dict:
    """Return the repository's params with some values changed, by their names with dots."""
    changed = copy.deepcopy(VALUES)
    for key, value in changes.items():
        *sections, name = key.split(".")
        place = changed
        for section in sections:
            place = place[section]
        place[name] = value
    return changed


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("collect.workers", True, "a whole number"),
        ("collect.frames", "many", "a whole number"),
        ("collect.frames", 10.5, "a whole number"),
        ("preprocess.val_share", "half", "a number"),
        ("dynamics.learning_rate", "1e-3", "(YAML wants 1.0e-3, not 1e-3)"),
        ("dynamics.learning_rate", "slope", "a number."),
        ("game", 7, "a text"),
        ("collect.frames", None, "a whole number"),
        ("representation.channels", 32, "a list"),
        ("rollout_eval.horizons", [1, "five"], "a whole number"),
        ("rollout_eval.horizons", [0], "1 to"),
        ("preprocess.val_share", 0.95, "0.01 to 0.9"),
        ("preprocess.val_share", float("nan"), "0.01 to 0.9"),
        ("seed", -1, "0 to"),
        ("latent_dim", 5000, "0 to 4096"),
        ("collect.workers", 0, "1 to 256"),
        ("collect.recordings", "data/recordings/blockfall/a", "a list"),
        ("collect.recordings", ["a@1", 7], "a text"),
        ("preprocess.color", "grey", "'gray', 'rgb'"),
        ("representation.kind", "vqvae", "'palette', 'tiles', 'ae', 'vae', 'vq', 'fsq'"),
        ("representation.vae.beta", -1.0, "0.0 to"),
        ("representation.vq.codes", 1, "2 to 32767"),
        ("representation.vq.codes", 40_000, "2 to 32767"),
        ("representation.vq.code_size", 0, "1 to"),
        ("representation.vq.commitment_weight", -0.1, "0.0 to"),
        ("representation.perceptual_weight", -0.1, "0.0 to"),
        ("representation.fsq.levels", [8, 2], "3 to 64"),
        ("representation.fsq.levels", 8, "a list"),
        (
            "dynamics.kind",
            "diffusion",
            "'auto', 'cells', 'mlp', 'conv', 'gaussian', 'gru', 'flow', 'transformer'",
        ),
        ("dynamics.training", "student", "'teacher', 'self_fed', 'k_step'"),
        ("dynamics.self_fed_probability", 1.5, "0.0 to 1.0"),
        ("dynamics.rollout_steps", 0, "1 to 256"),
        ("dynamics.gaussian.beta", -0.1, "0.0 to 10.0"),
        ("dynamics.flow.flow_steps", 0, "1 to 64"),
        ("dynamics.transformer.heads", 0, "1 to"),
        ("dynamics.gru.units", 0, "1 to"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(key, value, allowed):
    """The sentence must name the key, the value and what would be right, so that nobody has to
    search.
    """
    with pytest.raises(UserError) as caught:
        build(Params, with_value(key, value), "")
    assert_sentence(caught.value)
    assert key in str(caught.value)
    assert repr(value[-1] if isinstance(value, list) and value else value) in str(caught.value)
    assert allowed in str(caught.value)


AE = {"representation.kind": "ae", "preprocess.tile": 0}
TILES = {"representation.kind": "tiles"}


@pytest.mark.parametrize("key", ["latent_dims", "collect.frame", "dynamics.learning_rate "])
def test_an_unknown_key_is_named(key):
    """A typing error must not pass as a default."""
    with pytest.raises(UserError, match=re.escape(repr(key))) as caught:
        build(Params, with_value(key, 1), "")
    assert_sentence(caught.value)
    assert (
        "learning_rate" in str(caught.value)
        if key.startswith("dynamics")
        else "allowed" in str(caught.value)
    )


def test_a_missing_key_is_named():
    """A deleted line must not become a silent default."""
    values = with_value("seed", 0)
    del values["collect"]["frames"]
    with pytest.raises(UserError, match=re.escape("'collect.frames'")):
        build(Params, values, "")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"dynamics.kind": "mlp"},
            ["dynamics.kind", "'mlp'", "'palette'", "pixels", "'auto' or 'cells'"],
        ),
        (
            {**TILES, "dynamics.kind": "flow"},
            ["dynamics.kind", "'flow'", "'tiles'", "tokens", "'auto' or 'transformer'"],
        ),
        ({"latent_dim": 0}, ["latent_dim", "1 to 4096"]),
        (
            {**AE, "dynamics.kind": "transformer"},
            ["dynamics.kind", "'transformer'", "vectors", "'mlp'", "'gru'", "'flow'"],
        ),
        (
            {**AE, "dynamics.kind": "gaussian", "latent_dim": 0},
            ["dynamics.kind", "'gaussian'", "grids", "'conv' or 'flow'"],
        ),
        (
            {"dynamics.training": "k_step"},
            ["dynamics.training", "'k_step'", "'teacher' or 'self_fed'"],
        ),
        ({"dynamics.input_noise": 0.1}, ["dynamics.input_noise", "pixels", "'ae' or 'vae'"]),
        (
            {**TILES, "dynamics.input_noise": 0.1},
            ["dynamics.input_noise", "tokens", "'ae' or 'vae'"],
        ),
        ({"collect.revision": "abc"}, ["collect.revision", "'emulator'"]),
        ({"collect.actions": "full"}, ["collect.actions", "'auto'"]),
        (
            {"dynamics.transformer.heads": 3},
            ["dynamics.transformer.hidden", "128", "dynamics.transformer.heads", "3"],
        ),
        ({**TILES, "preprocess.tile": 0}, ["preprocess.tile", "'tiles'"]),
        (
            {"preprocess.tile": 8, "preprocess.height": 84},
            ["preprocess.height", "84", "multiple of 8"],
        ),
        (
            {**AE, "dynamics.kind": "mlp", "latent_dim": 0},
            ["dynamics.kind", "'mlp'", "latent_dim", "'conv'"],
        ),
        (
            {**AE, "dynamics.kind": "conv", "latent_dim": 32},
            ["dynamics.kind", "'conv'", "latent_dim", "32", "'mlp'"],
        ),
        (
            {"representation.kind": "vq", "dynamics.kind": "mlp"},
            ["dynamics.kind", "'mlp'", "'vq'", "'transformer'"],
        ),
        (
            {"representation.kind": "vq", "preprocess.height": 84, "preprocess.tile": 0},
            ["preprocess.height", "multiple of 8"],
        ),
        (
            {"representation.perceptual_weight": 0.1},
            ["perceptual_weight", "0.1", "'palette'", "'ae', 'vae', 'vq' or 'fsq'"],
        ),
        (
            {
                "representation.kind": "ae",
                "representation.l1_weight": 0,
                "representation.mse_weight": 0,
            },
            ["l1_weight", "mse_weight", "perceptual_weight", "above 0"],
        ),
        (
            {"representation.fsq.levels": [64, 64, 9]},
            ["representation.fsq.levels", "36,864", "32,767"],
        ),
        ({"representation.fsq.levels": []}, ["representation.fsq.levels", "one entry"]),
        ({"representation.channels": []}, ["representation.channels", "at least one"]),
        ({**AE, "preprocess.height": 84}, ["preprocess.height", "84", "multiple of 8"]),
        (
            {
                **AE,
                "preprocess.height": 224,
                "preprocess.width": 100,
                "representation.channels": [8, 8, 8, 8],
            },
            ["preprocess.width", "100", "multiple of 16"],
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(changes, named):
    """Combinations that would fail an hour later must fail at once, naming the ways out."""
    with pytest.raises(UserError) as caught:
        build(Params, with_values(changes), "")
    assert_sentence(caught.value)
    assert [part for part in named if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("text", "named"), [("game: [", "params.yaml"), ("", "mapping"), ("- 1\n- 2\n", "mapping")]
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, named):
    """A broken params.yaml is a person's mistake, not a crash."""
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UserError, match=named) as caught:
        load_params(tmp_path / "params.yaml")
    assert_sentence(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    """The sentence names the file and the way to get it back."""
    with pytest.raises(UserError, match="git checkout"):
        load_params(tmp_path / "params.yaml")
