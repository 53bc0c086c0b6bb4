"""The real pipeline at toy size, in a copy of this checkout: run, killed, run again, changed, and
fed wrong ROMs.

One copy goes through `dvc repro` and is killed in train_dynamics; a second runs the stages by hand,
from another directory and undisturbed. Both must end with the same files. A third trains the
autoencoder, with small gray frames.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from toys.synthetic import assert_sentence, copy_checkout

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.core.tensors import load_tensors
from dreamcart.data.infos import parse_infos
from dreamcart.data.reader import read_episodes
from dreamcart.world.cart import model_print

pytest.importorskip("stable_retro")
pytest.importorskip("dvc")

TOY = {
    "latent_dim": 8,
    "collect": {
        "frames": 600,
        "episode_steps": 100,
        "test_episodes": 2,
        "test_steps": 100,
        "workers": 2,
    },
    "dynamics": {
        "steps": 80,
        "cells": {"channels": 8, "blocks": 2, "memory": 16},
        "history_frames": 4,
        "batch_size": 16,
        "validate_every": 40,
        "checkpoint_every": 10,
    },
    "rollout_eval": {"horizons": [1, 5, 10], "starts": 6, "batch_size": 6, "control_states": 2},
}
# The roadmap's own way: an autoencoder of small gray frames, and a dynamics of its grid.
AE = {
    **TOY,
    "latent_dim": 0,
    "preprocess": {"height": 40, "width": 40, "color": "gray", "resize": "area", "tile": 0},
    "representation": {
        "kind": "ae",
        "steps": 80,
        "channels": [8, 16, 16],
        "batch_size": 16,
        "validate_every": 40,
        "checkpoint_every": 8,
    },
    "dynamics": TOY["dynamics"]
    | {
        "steps": 20,
        "conv": {"channels": 8, "dead_zone": 0.25},
        "history_actions": 4,
        "validate_every": 10,
    },
}
CONTROL = {"iou", "cases", "false_effect", "by_button", "states"}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
GAME = yaml.safe_load((ROOT / "params.yaml").read_text())["game"]
# stages with a report, beside rollout_eval
DETAILED = {"collect", "preprocess", "train_ae", "train_dynamics", "refine"}
METRICS = {
    "l1",
    "psnr",
    "ssim",
    "exact",
    "wrong_pixels",
    "changed_l1",
    "sharpness",
    "lpips",
    "skill",
}


def environment(home: Path) -> dict[str, str]:
    """One thread, this Python first, and no way to a network or to the user's own settings."""
    who = {
        f"GIT_{role}_{what}": "test@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    nowhere = "http://127.0.0.1:9"
    return {
        **os.environ,
        **who,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "TORCH_HOME": str(home / "torch"),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "http_proxy": nowhere,
        "https_proxy": nowhere,
    }


def toy_params(checkout: Path, changes: dict[str, Any] = TOY) -> None:
    values = yaml.safe_load((checkout / "params.yaml").read_text())
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    (checkout / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def committed_copy(to: Path, env: dict[str, str]) -> Path:
    """A repository of its own with this checkout's files, none of its outputs, and toy params."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        made = name.startswith(("metrics/", "plots/", "tests/")) or name == "dvc.lock"
        if not made and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, to / name)
    toy_params(to)
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "toy"]):
        subprocess.run(["git", *command], cwd=to, env=env, check=True)
    return to


def results(checkout: Path) -> dict[str, bytes]:
    """Every metrics file, curve and model of a run; the commit that made it is left out."""
    patterns = ("metrics/**/*.json", "plots/**/*.csv", "models/**/*.safetensors")
    commit = re.compile(rb'"code": "[^"]*"')
    return {
        path.relative_to(checkout).as_posix(): commit.sub(b'"code": "?"', path.read_bytes())
        for p in patterns
        for path in sorted(checkout.glob(p))
    }


def run_it(command: list[str], cwd: Path, env: dict[str, str]) -> str:
    """Run a command that must succeed; returns all that it printed."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def kill_in(stage: str, command: list[str], checkout: Path, env: dict[str, str]) -> None:
    """Run a command, and kill -9 it with all its processes as soon as `stage` has a checkpoint."""
    log = checkout.parent / f"{stage}.log"
    with open(log, "w") as output:
        process = subprocess.Popen(
            command, cwd=checkout, env=env, stdout=output, stderr=output, start_new_session=True
        )
        while process.poll() is None and not list(
            checkout.glob(f"checkpoints/*/{stage}-*.safetensors")
        ):
            time.sleep(0.01)
        assert process.poll() is None, log.read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def first_step(output: str, title: str, steps: int) -> int:
    """The step at which a training's progress bar begins."""
    shown = [int(n) for n in re.findall(rf"{title}[^\r\n]*?\| *(\d+)/{steps}", output)]
    assert shown, output
    return shown[0]


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory, env):
    """A pipeline that was killed in train_dynamics and run again to the end."""
    checkout = committed_copy(tmp_path_factory.mktemp("killed") / "checkout", env)
    models = checkout / "models" / GAME
    kill_in("train_dynamics", ["dvc", "repro"], checkout, env)
    assert (models / "representation.safetensors").exists()
    assert not (models / "trained.safetensors").exists(), (
        "train_dynamics was over before it was killed"
    )
    output = run_it(["dvc", "repro"], checkout, env)
    left = list((checkout / "checkpoints").rglob("*.*"))
    return SimpleNamespace(checkout=checkout, output=output, results=results(checkout), left=left)


# The stages from training on, one after another in one process: importing torch costs more than all
# of them.
REST = """
import runpy, sys
for path in sys.argv[1:]:
    sys.argv = [path]
    runpy.run_path(path, run_name="__main__")
"""


def scripts(checkout: Path) -> list[str]:
    return [str(checkout / "stages" / f"{stage}.py") for stage in STAGES]


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory, env):
    """The same stages as scripts, one after another, from another directory."""
    folder = tmp_path_factory.mktemp("by_hand")
    checkout = copy_checkout(folder / "checkout")
    toy_params(checkout)
    game, collect, preprocess, *rest = scripts(checkout)
    for arguments in ([game], [collect], [preprocess], ["-c", REST, *rest]):
        run_it([sys.executable, *arguments], folder, env)
    return SimpleNamespace(checkout=checkout, results=results(checkout))


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory, env):
    """The autoencoder: `dvc repro` killed in train_ae, run again; then undisturbed to the end."""
    checkout = committed_copy(tmp_path_factory.mktemp("autoencoder") / "checkout", env)
    toy_params(checkout, AE)
    train_ae, *rest = scripts(checkout)[3:]
    kill_in("train_ae", ["dvc", "repro", "train_ae"], checkout, env)
    assert not (checkout / "models" / GAME / "representation.safetensors").exists(), (
        "train_ae was over before it was killed"
    )
    output = run_it(["dvc", "repro", "train_ae"], checkout, env)
    resumed = results(checkout)
    run_it([sys.executable, "-c", REST, train_ae, *rest], checkout, env)
    left = list((checkout / "checkpoints").rglob("*.*"))
    return SimpleNamespace(output=output, resumed=resumed, results=results(checkout), left=left)


def test_every_declared_output_is_there(killed):
    """What dvc.yaml promises is made, and dvc.lock knows all stages."""
    for name, stage in STAGES.items():
        for entry in stage.get("outs", []) + stage.get("metrics", []) + stage.get("plots", []):
            path = entry if isinstance(entry, str) else next(iter(entry))
            assert (killed.checkout / path.replace("${game}", GAME)).exists(), f"{name}: {path}"
    assert list(yaml.safe_load((killed.checkout / "dvc.lock").read_text())["stages"]) == list(
        STAGES
    )


def rollout_table(found: dict[str, bytes]) -> dict[str, Any]:
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(found[f"metrics/{GAME}/rollout_details.json"], parse_constant=refuse)


def test_rollout_table_has_every_source_horizon_and_metric(killed):
    """The report is the table of the design: model, both baselines, the ceiling, screens read back,
    in plain JSON."""
    table = rollout_table(killed.results)
    assert set(table.pop("controllability")) == {
        "iou",
        "cases",
        "false_effect",
        "by_button",
        "states",
    }
    screens, spread = table.pop("screens"), table.pop("diversity")
    assert set(table.pop("motion")) == {"10"}
    assert spread["pairwise_l1"].keys() == {"1", "10", "20"}
    assert table.pop("of")["starts"] == 6
    assert set(table.pop("made")) == {"model", "code", "date"}
    assert set(table) == {"model", "persistence", "median", "reconstruction"}
    for by_horizon in table.values():
        assert set(by_horizon) == {"1", "5", "10"}
        assert {frozenset(scores) for scores in by_horizon.values()} == {
            frozenset(METRICS | {"field_wrong_pixels"})
        }
    assert set(screens) == {"states", "states_persistence", "events", "legality"}
    assert set(screens["states"]) == set(screens["states_persistence"]) == {"1", "5", "10"}
    assert screens["legality"]["steps"] == 6 * 10


def test_the_metrics_files_are_the_few_numbers_that_people_compare(killed):
    """What DVC shows of a run: the headline of the rollouts, and a handful of each other stage's
    report."""
    table, headline = (
        rollout_table(killed.results),
        json.loads(killed.results[f"metrics/{GAME}/rollout.json"]),
    )
    assert headline.pop("controllability") == table["controllability"]["iou"]
    assert set(headline) == {"exact", "ssim", "lpips", "l1", "skill"}
    for name, by_step in headline.items():
        assert by_step == {f"{step:03}": table["model"][str(step)][name] for step in (1, 5, 10)}
    others = {
        stage: json.loads(killed.results[f"metrics/{GAME}/{stage}.json"])
        for stage in STAGES
        if stage in DETAILED
    }
    assert set(others) == DETAILED
    for stage, few in others.items():
        whole = json.loads(killed.results[f"metrics/{GAME}/{stage}_details.json"])
        numbers = numbers_of(few)
        assert 1 <= len(numbers) <= 7
        assert all(isinstance(value, int | float) for value in numbers.values())
        assert numbers.items() <= numbers_of(whole).items()


def numbers_of(value: Any, name: str = "") -> dict[str, Any]:
    """A report's entries by their names with dots, as DVC has them."""
    if not isinstance(value, dict):
        return {name: value}
    return {
        key: entry
        for part, inner in value.items()
        for key, entry in numbers_of(inner, f"{name}.{part}").items()
    }


def test_a_killed_stage_goes_on_from_its_checkpoint(killed):
    """After kill -9 the stage does not begin again: its progress bar starts where the checkpoint
    was.
    """
    assert first_step(killed.output, "dynamics", TOY["dynamics"]["steps"]) > 0


def test_killed_and_undisturbed_runs_end_the_same(killed, by_hand):
    """Same seed, same metrics, curves and models, byte for byte: killed or not, by dvc or by hand,
    from anywhere.

    What to practise next is drawn by the losses so far, so these must come back from the checkpoint
    too.
    """
    assert len(by_hand.results) >= 11
    assert list(killed.results) == list(by_hand.results)
    assert [name for name in by_hand.results if killed.results[name] != by_hand.results[name]] == []


def test_no_checkpoint_is_left(killed, autoencoder):
    """A finished stage cleans up, or the next run with the same params would train nothing."""
    assert killed.left + autoencoder.left == []


def test_a_killed_autoencoder_ends_as_an_undisturbed_one(autoencoder):
    """The roadmap's own representation resumes as well as the default does, byte for byte."""
    assert first_step(autoencoder.output, "autoencoder", AE["representation"]["steps"]) > 0
    assert f"models/{GAME}/representation.safetensors" in autoencoder.resumed
    assert [
        name
        for name, content in autoencoder.resumed.items()
        if autoencoder.results[name] != content
    ] == []


def test_the_autoencoder_goes_through_the_pipeline(autoencoder):
    """Small gray frames and a grid of latents remain a way to go; nothing is read back from
    them.
    """
    table = rollout_table(autoencoder.results)
    assert set(table.pop("controllability")) == {
        "iou",
        "cases",
        "false_effect",
        "by_button",
        "states",
    }
    assert set(table.pop("motion")) == {"10"}
    assert set(table.pop("diversity")["pairwise_l1"].values()) == {0}
    assert table.pop("of")["starts"] == 6
    assert set(table.pop("made")) == {"model", "code", "date"}
    assert set(table) == {"model", "persistence", "median", "reconstruction"}
    assert set(table["model"]["10"]) == METRICS


LATER = {"refine", "rollout_eval", "cart"}


def test_a_second_repro_runs_nothing(killed, env):
    """An unchanged pipeline is up to date."""
    output = run_it(["dvc", "repro"], killed.checkout, env)
    assert "Running stage" not in output
    assert "up to date" in output


@pytest.mark.parametrize(
    ("change", "stage", "outdated"),
    [
        (["dynamics.steps=6", "dynamics.cells.memory=12"], "train_dynamics", LATER),
        # it is no setting of a palette, so the model that comes out is the same, and outdates
        # nothing more
        (["representation.weight_decay=0.5"], "train_ae", LATER),
    ],
)
def test_a_changed_setting_runs_only_what_depends_on_it(killed, env, change, stage, outdated):
    """`dvc exp run -S key=value` works as written, does not play or preprocess again, and outdates
    the rest.
    """
    command = [
        "dvc",
        "exp",
        "run",
        *(word for setting in change for word in ("-S", setting)),
        stage,
    ]
    assert re.findall(r"Running stage '(\w+)'", run_it(command, killed.checkout, env)) == [stage]
    status = subprocess.run(
        ["dvc", "status", "--json"],
        cwd=killed.checkout,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(status.stdout)) == outdated


def test_recordings_take_the_place_of_the_emulator(tmp_path, env, by_hand):
    """`collect.source`: from a folder of recordings to the table, on a machine without the ROM."""
    checkout = copy_checkout(tmp_path / "checkout")
    recordings = shutil.copytree(by_hand.checkout / "data" / GAME / "raw", tmp_path / "recordings")
    toy_params(checkout, TOY | {"collect": TOY["collect"] | {"source": str(recordings)}})
    delete_rom(checkout)
    output = run_it([sys.executable, "-c", REST, *scripts(checkout)], tmp_path, env)
    table = rollout_table(results(checkout))
    assert set(table["model"]) == {"1", "5", "10"}
    assert "controllability" not in table
    assert all(title in output for title in ("Processed", "One step ahead", "dream against game"))


# Training on what the dream gets wrong

REFINE = {
    "rounds": 2,
    "streams": 4,
    "stream_steps": 60,
    "branches": 3,
    "branch_steps": 12,
    "before": 4,
    "steps": 20,
}


def refined(
    by_hand: Any, place: Path, workers: int = 2, **changes: Any
) -> tuple[Path, list[str], Path]:
    """A copy of a trained checkout that asks for rounds, the command that makes them, and the
    model's folder."""
    checkout = Path(shutil.copytree(by_hand.checkout, place / "checkout"))
    own = {"collect": TOY["collect"] | {"workers": workers}, "refine": REFINE | changes}
    toy_params(checkout, TOY | own)
    command = [sys.executable, str(checkout / "stages" / "refine.py")]
    return checkout, command, checkout / "models" / GAME


def refine_report(checkout: Path) -> dict[str, Any]:
    return json.loads((checkout / "metrics" / GAME / "refine_details.json").read_text())


def test_without_rounds_the_dream_stays_as_it_was(by_hand):
    """Byte for byte; the report and the picture are there, and say so."""
    models = by_hand.checkout / "models" / GAME
    assert (models / "dynamics.safetensors").read_bytes() == (
        models / "trained.safetensors"
    ).read_bytes()
    report = refine_report(by_hand.checkout)
    assert (report["rounds"], report["made"]["model"]) == (0, model_print(models))
    assert_sentence(UserError(report["why"]))
    assert (by_hand.checkout / "plots" / GAME / "refine.png").stat().st_size > 1000


@pytest.fixture(scope="module")
def killed_round(tmp_path_factory, env, by_hand):
    """A refinement killed while it trained, what it had recorded until then, and how it ended."""
    checkout, command, _ = refined(by_hand, tmp_path_factory.mktemp("killed_round"))
    kill_in("refine", command, checkout, env)
    (work,) = (path for path in (checkout / "checkpoints" / GAME).iterdir() if path.is_dir())
    recorded = shutil.copytree(work, checkout.parent / "work")
    output = run_it(command, checkout, env)
    left = list((checkout / "checkpoints").rglob("*.*"))
    return SimpleNamespace(checkout=checkout, work=recorded, output=output, left=left)


def test_a_killed_refinement_ends_as_an_undisturbed_one(tmp_path, env, by_hand, killed_round):
    """Also with another number of emulators: what they record does not depend on it."""
    checkout, command, models = refined(by_hand, tmp_path, workers=1)
    output = run_it(command, checkout, env)
    assert first_step(killed_round.output, "dynamics", REFINE["steps"]) > 0
    assert killed_round.left == []
    assert results(checkout) == results(killed_round.checkout)
    assert "Streams that no round saw" in output
    report = refine_report(checkout)
    assert set(report["by_round"]) == {"1", "2"}
    assert all(report["by_round"][number]["steps"] > 0 for number in "12")
    kept = any(one["kept"] for one in report["by_round"].values())
    assert report["after"]["val"] <= report["before"]["val"]
    meta = load_tensors(models / "dynamics.safetensors")[1]
    assert ("refine" in meta) == kept
    assert (checkout / "plots" / GAME / "refine.png").stat().st_size > 10_000
    cart = tmp_path / "toy.cart"
    run_it([sys.executable, "stages/cart.py", "--out", str(cart)], checkout, env)
    assert load_tensors(cart)[1]["recipe"].get("refine") == meta.get("refine")


def test_branches_are_the_games_own(by_hand, killed_round):
    """Their past is the stream's, frame by frame, and the first of each goes on as the stream did;
    their seeds are those of no test and no training episode."""
    work, raw = killed_round.work / "round-1", by_hand.checkout / "data" / GAME
    streams = {rows[0]["episode_id"]: rows for rows in read_episodes(work / "streams")}
    seeds, first = {rows[0]["seed"] for rows in streams.values()}, 0
    assert len(seeds) == REFINE["streams"]
    for rows in read_episodes(work / "branches"):
        infos = parse_infos(rows[0]["infos"])
        of, lead = infos["branch"], infos["lead"]
        stream = streams[of["episode"]][of["step"] - lead :]
        assert rows[0]["seed"] == stream[0]["seed"]
        same = lead + 1 + (REFINE["branch_steps"] if of["branch"] == 0 else 0)
        same = min(same, len(stream))
        assert [row["observations"] for row in rows[:same]] == [
            row["observations"] for row in stream[:same]
        ]
        first += of["branch"] == 0
    assert first > 0
    measured = {rows[0]["seed"] for rows in read_episodes(killed_round.work / "measured")}
    assert not measured & seeds
    for folder in ("raw", "raw_test"):
        known = {rows[0]["seed"] for rows in read_episodes(raw / folder, ["seed"])}
        assert not known & (seeds | measured)


def test_without_an_aim_it_learns_from_as_many_steps(tmp_path, env, by_hand, killed_round):
    checkout, command, _ = refined(by_hand, tmp_path, aimed=False, rounds=1)
    run_it(command, checkout, env)
    ordinary = refine_report(checkout)
    aimed = refine_report(killed_round.checkout)
    assert ordinary["before"] == aimed["before"]
    assert ordinary["by_round"]["1"]["steps"] == aimed["by_round"]["1"]["steps"] > 0
    assert (ordinary["aimed"], aimed["aimed"]) == (False, True)


def test_an_emulator_without_states_is_a_sentence(tmp_path, env, by_hand):
    """And the dream stays as it was."""
    checkout, _, models = refined(by_hand, tmp_path)
    program = (
        "import sys; from stages import refine; from dreamcart.core.errors import run_stage;"
        " refine.can_branch = lambda spec: False; run_stage(refine.main)"
    )
    output = run_it([sys.executable, "-c", program], checkout, env)
    assert "cannot save its state" in output
    assert "Traceback" not in output
    assert refine_report(checkout)["rounds"] == 0
    assert model_print(models) == model_print(models, "trained")


# What the bars are measured with, each as a person calls it; in one process, as above
TOOLS = """
import json, runpy, sys
for script, *arguments in json.loads(sys.argv[1]):
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")
"""


@pytest.fixture
def workshop(by_hand):
    """The checkout with a trained model, and with what measures it."""
    for folder in ("scripts", "experiments", "benchmarks"):
        shutil.copytree(
            ROOT / folder,
            by_hand.checkout / folder,
            ignore=shutil.ignore_patterns("results"),
            dirs_exist_ok=True,
        )
    return by_hand.checkout


def test_what_measures_dreams_runs_from_a_trained_model(tmp_path, env, workshop):
    """Its cart is made, judged, rolled out for validation, left alone and timed."""
    place, cart, judged = workshop, str(tmp_path / "toy.cart"), str(tmp_path / "judged.cart")
    calls = [
        ["stages/cart.py", "--out", cart],
        ["stages/cart.py", "--out", judged],
        ["scripts/judge.py", judged, "--starts", "3", "--filmstrip", str(tmp_path / "film.png")],
        ["scripts/judge.py", judged, "--write"],
        ["scripts/validate.py", "--cart", judged, "--starts", "3"],
        ["scripts/unattended.py", "--cart", judged, "--dreams", "2", "--minutes", "0.05"],
        [
            "scripts/unattended.py",
            "--cart",
            judged,
            "--dreams",
            "1",
            "--minutes",
            "0.05",
            "--seed",
            "7",
        ],
        ["benchmarks/play.py", "--cart", judged, "--steps", "20"],
        ["benchmarks/play.py", "--steps", "4", "--families", "transformer", "mlp"],
        ["benchmarks/train_dynamics.py", "--steps", "1", "--families", "cells", "transformer"],
    ]
    told = json.dumps([[str(place / script), *rest] for script, *rest in calls])
    output = run_it([sys.executable, "-c", TOOLS, told], tmp_path, env)
    assert output.count("Exact frames of 3 starts") == 1
    assert output.count("Exact frames of 6 starts") == 1
    assert all(
        title in output
        for title in (
            "validation episodes",
            "2 dreams of 0.05 minutes",
            "dream / emulator",
            "transformer, tokens, temperature 1",
            "cells, pixels",
        )
    )
    assert (tmp_path / "film.png").stat().st_size > 1000
    before, after = (load_tensors(Path(name))[1]["metrics"] for name in (cart, judged))
    assert before["made"]["model"]
    assert after["model"] == before["model"]  # the same dream, the same episodes: the same figures
    report = json.loads((place / "metrics" / GAME / "unattended_cart.json").read_text())
    assert report["steps"] == 2 * (1 + round(0.05 * 60 * 30))
    assert (place / "metrics" / GAME / "unattended_cart_seed7.json").exists()
    assert output.count("Legality of the game itself") == 2


def test_a_batch_of_dreams_is_timed_beside_emulators(tmp_path, env, workshop):
    """And a cart that is not there is one sentence."""
    script = str(workshop / "benchmarks" / "batch.py")
    output = run_it(
        [sys.executable, script, "--batch", "4", "--steps", "10", "--workers", "1"], tmp_path, env
    )
    assert re.search(r"dream / emulator: \d", output)
    done = subprocess.run(
        [sys.executable, script, "--cart", "gone.cart"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.startswith("error: There is no cart gone.cart")) == (
        2,
        True,
    )


# A person's mistakes, through a stage


def delete_rom(checkout: Path) -> str:
    (rom,) = checkout.glob(f"games/{GAME}/*/rom.nes")
    rom.unlink()
    return "is missing"


def flip_a_byte(checkout: Path) -> str:
    (rom,) = checkout.glob(f"games/{GAME}/*/rom.nes")
    content = bytearray(rom.read_bytes())
    content[5000] ^= 1
    rom.write_bytes(content)
    return hashlib.sha1(content).hexdigest()


def unknown_game(checkout: Path) -> str:
    params = checkout / "params.yaml"
    params.write_text(re.sub(r"(?m)^game: .*", "game: pacman", params.read_text()))
    return "'pacman'"


@pytest.mark.parametrize("mistake", [delete_rom, flip_a_byte, unknown_game])
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, env, mistake):
    """Missing or wrong ROM, unknown game: one sentence (with the hash found), no traceback, and dvc
    sees the failure.
    """
    checkout = copy_checkout(tmp_path)
    named = mistake(checkout)
    done = subprocess.run(
        [sys.executable, "stages/collect.py"], cwd=checkout, env=env, capture_output=True, text=True
    )
    errors = [line for line in re.split(r"[\r\n]+", done.stderr) if line.startswith("error: ")]
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert named in errors[0]
    assert "Traceback" not in done.stderr
