"""The real pipeline at toy size, in a copy of this checkout: run, killed, run again, changed, and fed wrong ROMs.

One copy goes through `dvc repro` and is killed in each training stage; a second runs the stages by hand, from
another directory and undisturbed. Both must end with the same files.
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

import pytest
import yaml
from synthetic import copy_checkout

from dreamcart.errors import ROOT

pytest.importorskip("stable_retro")
pytest.importorskip("dvc")

TOY = {
    "collect": {"frames": 600, "episode_steps": 100, "test_episodes": 2, "test_steps": 100, "workers": 2},
    "preprocess": {"height": 40, "width": 40},
    "representation": {"steps": 80, "channels": [8, 16, 16], "batch_size": 16, "validate_every": 40, "checkpoint_every": 8},
    "dynamics": {
        "steps": 100,
        "hidden": 16,
        "history_frames": 3,
        "history_actions": 3,
        "batch_size": 32,
        "validate_every": 50,
        "checkpoint_every": 10,
    },
    "rollout_eval": {"horizons": [1, 5, 10], "starts": 6, "batch_size": 6, "control_states": 2},
}
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
GAME = yaml.safe_load((ROOT / "params.yaml").read_text())["game"]
TITLES = {
    "train_ae": ("autoencoder", TOY["representation"]["steps"]),
    "train_dynamics": ("dynamics", TOY["dynamics"]["steps"]),
}


def environment(home: Path) -> dict[str, str]:
    """One thread, this Python first, and no way to a network or to the user's own settings."""
    who = {f"GIT_{role}_{what}": "test@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
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


def toy_params(checkout: Path) -> None:
    values = yaml.safe_load((checkout / "params.yaml").read_text())
    for section, changes in TOY.items():
        values[section] |= changes
    (checkout / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def committed_copy(to: Path, env: dict[str, str]) -> Path:
    """A repository of its own with this checkout's files, none of its outputs, and toy params."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
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
    """Every metrics file, curve and model of a run."""
    patterns = ("metrics/**/*.json", "plots/**/*.csv", "models/**/*.safetensors")
    return {path.relative_to(checkout).as_posix(): path.read_bytes() for p in patterns for path in sorted(checkout.glob(p))}


def repro(checkout: Path, env: dict[str, str]) -> str:
    """`dvc repro`; returns all that it printed."""
    done = subprocess.run(["dvc", "repro"], cwd=checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def repro_killed_in(stage: str, checkout: Path, env: dict[str, str]) -> str:
    """`dvc repro`, killed with all its processes as soon as `stage` has a checkpoint; returns what it printed."""
    log = checkout.parent / f"{stage}.log"
    with open(log, "w") as output:
        process = subprocess.Popen(["dvc", "repro"], cwd=checkout, env=env, stdout=output, stderr=output, start_new_session=True)
        while process.poll() is None and not list(checkout.glob(f"checkpoints/*/{stage}-*.safetensors")):
            time.sleep(0.01)
        assert process.poll() is None, log.read_text()
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return log.read_text()


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    return environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def killed(tmp_path_factory, env):
    """A pipeline that was killed in train_ae, run again, killed in train_dynamics, and run again to the end."""
    checkout = committed_copy(tmp_path_factory.mktemp("killed") / "checkout", env)
    model = checkout / "models" / GAME / "representation.safetensors"
    repro_killed_in("train_ae", checkout, env)
    assert not model.exists(), "train_ae was over before it was killed"
    output = {"train_ae": repro_killed_in("train_dynamics", checkout, env)}
    assert model.exists()
    assert not model.with_name("dynamics.safetensors").exists(), "train_dynamics was over before it was killed"
    output["train_dynamics"] = repro(checkout, env)
    left = list((checkout / "checkpoints").rglob("*.*"))
    return SimpleNamespace(checkout=checkout, output=output, results=results(checkout), left=left)


# The training stages one after another in one process: importing torch costs more than all of them.
REST = "import runpy, sys; [runpy.run_path(path, run_name='__main__') for path in sys.argv[1:]]"


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory, env):
    """The same stages as scripts, one after another, from another directory."""
    folder = tmp_path_factory.mktemp("by_hand")
    checkout = copy_checkout(folder / "checkout")
    toy_params(checkout)
    collect, preprocess, *rest = (str(checkout / "stages" / f"{stage}.py") for stage in STAGES)
    for arguments in ([collect], [preprocess], ["-c", REST, *rest]):
        done = subprocess.run([sys.executable, *arguments], cwd=folder, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return SimpleNamespace(checkout=checkout, results=results(checkout))


def test_every_declared_output_is_there(killed):
    """What dvc.yaml promises is made, and dvc.lock knows all six stages."""
    for name, stage in STAGES.items():
        for entry in stage.get("outs", []) + stage.get("metrics", []) + stage.get("plots", []):
            path = entry if isinstance(entry, str) else next(iter(entry))
            assert (killed.checkout / path.replace("${game}", GAME)).exists(), f"{name}: {path}"
    assert list(yaml.safe_load((killed.checkout / "dvc.lock").read_text())["stages"]) == list(STAGES)


def test_rollout_table_has_every_source_horizon_and_metric(killed):
    """The metrics file is the table of the design: model, both baselines and the ceiling, in plain JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    table = json.loads(killed.results[f"metrics/{GAME}/rollout.json"], parse_constant=refuse)
    control = table.pop("controllability")
    assert {"iou", "cases", "false_effect", "by_button"} == set(control)
    assert set(table) == {"model", "persistence", "median", "reconstruction"}
    for by_horizon in table.values():
        assert set(by_horizon) == {"1", "5", "10"}
        for scores in by_horizon.values():
            assert set(scores) == {"l1", "psnr", "ssim", "exact", "changed_l1", "lpips_untrained"}


@pytest.mark.parametrize("stage", TITLES)
def test_a_killed_stage_goes_on_from_its_checkpoint(killed, stage):
    """After kill -9 the stage does not begin again: its progress bar starts where the checkpoint was."""
    title, steps = TITLES[stage]
    shown = [int(n) for n in re.findall(rf"{title}[^\r\n]*?\| *(\d+)/{steps}", killed.output[stage])]
    assert shown, killed.output[stage]
    assert shown[0] > 0


def test_killed_and_undisturbed_runs_end_the_same(killed, by_hand):
    """Same seed, same metrics, curves and models, byte for byte: killed or not, by dvc or by hand, from anywhere."""
    assert len(by_hand.results) >= 11
    assert list(killed.results) == list(by_hand.results)
    assert [name for name in by_hand.results if killed.results[name] != by_hand.results[name]] == []


def test_no_checkpoint_is_left(killed):
    """A finished stage cleans up, or the next run with the same params would train nothing."""
    assert killed.left == []


def test_a_second_repro_runs_nothing(killed, env):
    """An unchanged pipeline is up to date."""
    output = repro(killed.checkout, env)
    assert "Running stage" not in output
    assert "up to date" in output


def test_a_changed_latent_dim_runs_train_ae_and_what_follows(killed, env):
    """`dvc exp run -S latent_dim=8` works as written, neither plays nor preprocesses again, and outdates the rest."""
    command = ["dvc", "exp", "run", "-S", "latent_dim=8", "-S", "representation.steps=6", "train_ae"]
    done = subprocess.run(command, cwd=killed.checkout, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    assert re.findall(r"Running stage '(\w+)'", done.stdout) == ["train_ae"]
    status = subprocess.run(["dvc", "status", "--json"], cwd=killed.checkout, env=env, capture_output=True, text=True, check=True)
    assert set(json.loads(status.stdout)) == {"encode_latents", "train_dynamics", "rollout_eval"}


# A person's mistakes, through a stage


def delete_rom(checkout: Path) -> str:
    (rom,) = checkout.glob("games/*/*/rom.nes")
    rom.unlink()
    return "is missing"


def flip_a_byte(checkout: Path) -> str:
    (rom,) = checkout.glob("games/*/*/rom.nes")
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
    """Missing or wrong ROM, unknown game: one sentence (with the hash found), no traceback, and dvc sees the failure."""
    checkout = copy_checkout(tmp_path)
    named = mistake(checkout)
    done = subprocess.run([sys.executable, "stages/collect.py"], cwd=checkout, env=env, capture_output=True, text=True)
    errors = [line for line in re.split(r"[\r\n]+", done.stderr) if line.startswith("error: ")]
    assert (done.returncode, len(errors)) == (2, 1), done.stderr
    assert named in errors[0]
    assert "Traceback" not in done.stderr
