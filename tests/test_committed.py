"""What is committed: every measurement says what made it, and nothing large or foreign lies
about.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from dreamcart.core.paths import ROOT

IN_GIT = (ROOT / ".git").exists()
pytestmark = pytest.mark.skipif(not IN_GIT, reason="what is committed is asked of git")
MOST_BYTES = 1_000_000
LARGE = ("carts/", "games/")  # carts and ROMs
FOREIGN = {".whl", ".pkl", ".pt", ".pth", ".nes", ".zip", ".gz"}
OWN_ROMS = ("games/blockfall/", "games/emberling/")
LOCK = yaml.safe_load((ROOT / "dvc.lock").read_text())["stages"]


def tracked(*folders: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *folders], cwd=ROOT, capture_output=True, text=True
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def outputs() -> dict[str, str]:
    """The MD5 of every file that the pipeline has written, by its path, as dvc.lock has it."""
    return {out["path"]: out["md5"] for stage in LOCK.values() for out in stage.get("outs", [])}


def md5(name: str) -> str:
    return hashlib.md5((ROOT / name).read_bytes()).hexdigest()


def says_what_made_it(name: str) -> bool:
    """A file of the pipeline is in dvc.lock with all that it depends on; any other holds a stamp
    itself.
    """
    if name in outputs():
        return md5(name) == outputs()[name]
    if name.endswith(".json"):
        return {"code", "date"} <= set(json.loads((ROOT / name).read_text()).get("made", {}))
    with Image.open(ROOT / name) as picture:
        return {"model", "code", "date"} <= set(picture.info)


@pytest.mark.parametrize("name", tracked("metrics", "plots"))
def test_every_measurement_says_what_made_it(name):
    assert says_what_made_it(name)


def test_the_pipelines_results_are_of_this_code():
    """`make` was run after the last change of what a stage depends on; the data themselves need not
    be here.
    """
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = json.loads(asked.stdout)
    ours = ("dreamcart", "stages", "games", "params.yaml")
    changed = {
        path
        for changes in told.values()
        for change in changes
        if isinstance(change, dict)
        for path in change.get("changed deps", {})
        if path.startswith(ours)
    }
    assert not changed, "run `make`, and commit dvc.lock, metrics and plots"


def test_nothing_large_is_committed():
    large = [
        name
        for name in tracked()
        if (ROOT / name).stat().st_size > MOST_BYTES and not name.startswith(LARGE)
    ]
    assert not large


def test_no_foreign_file_is_committed():
    """Wheels, pickles and ROMs that are not our own."""
    assert not [
        name for name in tracked() if Path(name).suffix in FOREIGN and not name.startswith(OWN_ROMS)
    ]
