"""Training a dream on what it gets wrong, with the emulator as the teacher.

A round plays streams, finds where the dream first differs from them, records branches from some
steps before, and trains on with them beside all other recordings. It keeps the weights that are no
worse in validation. All that it makes lies in a folder outside the outputs, step by step, so that a
killed run goes on and ends as an undisturbed one.
"""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from dreamcart.core.files import fingerprint, read_array, read_json, write_json, writing
from dreamcart.core.paths import Paths
from dreamcart.core.tensors import load_tensors, save_tensors
from dreamcart.data.collect import Episode, record_episodes
from dreamcart.data.preprocess import preprocess
from dreamcart.data.processed import Split, load_split
from dreamcart.data.schema import INFO_NAME
from dreamcart.data.unsplit import load_unsplit
from dreamcart.dynamics.base import Trained, load_dynamics
from dreamcart.families import FAMILIES, imported
from dreamcart.params import Params
from dreamcart.refine.branches import Branching, Stream, record_branches
from dreamcart.refine.counterexamples import (
    Found,
    compare,
    first_seed,
    places,
    plan_ordinary,
    plan_streams,
    summary,
)
from dreamcart.representation.encode import encode_splits
from dreamcart.representation.palette import TILES, Palette
from dreamcart.representation.registry import load_representation
from dreamcart.training.device import pick_device
from dreamcart.world.model import TRAINED, WorldModel, load_world


class Rounds:
    """A refinement under way.

    Attributes:
        world: the best dream so far; val: its validation error; kept: whether it is of a round.
    """

    def __init__(self, params: Params, paths: Paths) -> None:
        """Open the trained dream. Raises UserError where it is missing or damaged."""
        self.params, self.paths, self.own = params, paths, params.refine
        file = paths.models / f"{TRAINED}.safetensors"
        self.world = load_world(paths.models, pick_device(), TRAINED)
        self.spec = self.world.spec
        self.config = load_tensors(file)[1]["config"]
        # how it validates, the stage before has measured as each round's training does
        measured = paths.metrics / "train_dynamics.json"
        self.val, self.kept = float(read_json(measured)["val"]), False
        settings = [asdict(part) for part in (params.refine, params.dynamics, params.preprocess)]
        files = [file, paths.models / "representation.safetensors", measured, paths.spec]
        collected = params.collect.episode_steps
        self.key = fingerprint(*settings, params.latent_dim, params.seed, collected, *files)
        self.work = paths.checkpoint("refine", self.key).with_suffix("")

    def run(self) -> dict[str, Any]:
        """Go through all rounds, from where a killed run was.

        Returns a report: "rounds" and "aimed", "val" and the summaries of streams that no round
        saw (`counterexamples.summary`) "before" and "after", and what each round did, "by_round".
        """
        report: dict[str, Any] = {"rounds": self.own.rounds, "aimed": self.own.aimed}
        report["before"] = self.measured("before") | {"val": self.val}
        report["by_round"] = {str(n): self.round(n) for n in range(1, self.own.rounds + 1)}
        report["after"] = self.measured("after") | {"val": self.val}
        return report

    def save(self, path: Path) -> None:
        """Write the dynamics that were kept, with the settings of their rounds; where no round's
        were, those from before, byte for byte.
        """
        if self.kept:
            said = {"config": self.config, "refine": asdict(self.own)}
            save_tensors(path, self.world.dynamics.cpu().state_dict(), said)
        else:
            copy_trained(self.paths)

    def clean(self) -> None:
        """Remove all that was kept for a killed run, once the outputs are written."""
        shutil.rmtree(self.work, ignore_errors=True)
        for number in range(1, self.own.rounds + 1):
            self.checkpoint(number).unlink(missing_ok=True)

    def checkpoint(self, number: int) -> Path:
        """Name the checkpoint of a round's training."""
        return self.paths.checkpoint("refine", f"{self.key}-{number}")

    def measured(self, when: str) -> dict[str, Any]:
        """Say what goes wrong first on streams of their own, the same before and after."""
        file = self.work / f"{when}.json"
        if not file.is_file():
            with self.streams(self.work / "measured", 0) as (_, streams):
                found = compare(self.world, streams, f"{when}: stretches")
                write_json(file, summary(found, streams))
        return read_json(file)

    @contextlib.contextmanager
    def streams(self, raw: Path, number: int) -> Iterator[tuple[list[Episode], Split]]:
        """Record the streams of a round, if that is not done, and open them."""
        plan = plan_streams(self.spec, self.own, self.params.seed, number)
        self.record(raw, plan, "streams")
        with tempfile.TemporaryDirectory() as scratch:
            yield plan, load_unsplit(raw, self.params.preprocess, Path(scratch))

    def record(self, raw: Path, plan: list[Episode], title: str) -> None:
        """Record episodes, if that is not done: their info is written last."""
        if not (raw / INFO_NAME).is_file():
            workers = self.params.collect.workers
            record_episodes(self.spec, {raw: plan}, workers, f"{title} of {self.spec.name}")

    def round(self, number: int) -> dict[str, Any]:
        """Make a round; returns what it did, and whether its weights were kept."""
        folder = self.work / f"round-{number}"
        told = self.look(number, folder)
        if not told["steps"]:
            return told | {"kept": False}
        result = folder / "dynamics.safetensors"
        if not result.is_file():
            self.train(number, folder, result)
        val = load_tensors(result)[1]["val"]
        told |= {"val_before": self.val, "val": val, "kept": val <= self.val}
        if told["kept"]:
            self.val, self.kept = val, True
            self.world = with_dynamics(self.world, result)
        return told

    def look(self, number: int, folder: Path) -> dict[str, Any]:
        """Find what is wrong, and record what to learn from; returns how much of both there is."""
        file = folder / "found.json"
        if not file.is_file():
            with self.streams(folder / "streams", number) as (plan, streams):
                found = compare(self.world, streams, f"round {number}: stretches")
                steps = self.teach(number, folder / "branches", plan, streams, found)
            differences = int((found.first > 0).sum())
            told = {"stretches": len(found.at), "differences": differences, "steps": steps}
            write_json(file, told)
        return read_json(file)

    def teach(
        self, number: int, raw: Path, plan: list[Episode], streams: Split, found: Found
    ) -> int:
        """Record branches, or as many steps of ordinary play; returns how many there are."""
        own, index = self.own, streams.index
        branches = []
        for episode, steps in zip(
            plan, places(found, streams, first_seed(self.params.seed, number)), strict=True
        ):
            actions = index["action"][index["episode"] == episode.number][:-1]
            begins = sorted({max(0, step - own.before) for step in steps})
            branches.append((Stream(episode, actions), begins))
        planned = sum(len(begins) for _, begins in branches) * own.branches * own.branch_steps
        if not planned:
            return 0
        if own.aimed:
            lead = self.world.dynamics.history_frames  # what a dream begins from
            how = Branching(own.branches, own.branch_steps, own.before, lead)
            return record_branches(self.spec, branches, how, raw, self.params.collect.workers)
        length, seed = self.params.collect.episode_steps, self.params.seed
        self.record(raw, plan_ordinary(self.spec, planned, length, seed, number), "ordinary play")
        return planned

    def train(self, number: int, folder: Path, result: Path) -> None:
        """Train on from the best dream so far, with what all rounds have recorded."""
        params, own, processed = self.params, self.own, folder / "processed"
        rounds = (self.work / f"round-{n}" / "branches" for n in range(1, number + 1))
        more = [raw for raw in rounds if (raw / INFO_NAME).is_file()]
        if not (processed / "meta.json").is_file():  # it is written last
            preprocess(self.paths.raw, processed, params.preprocess, params.seed, more)
        splits = {name: load_split(processed, name) for name in ("train", "val")}
        # that of the trained dream, whatever new tiles there are; its own stays on its device
        representation = load_representation(self.paths.models / "representation.safetensors")
        frames = {name: split.frames for name, split in splits.items()}
        encode_splits(representation, frames, folder / "latents")
        latents = {name: read_array(folder / "latents" / f"{name}.npy") for name in splits}
        pictures = representation.pictures if representation.vocabulary else None
        if isinstance(representation, Palette):
            pictures = torch.from_numpy(read_array(folder / "latents" / TILES).copy())
        changes = {"steps": own.steps, "learning_rate": own.learning_rate, "minutes": 0.0}
        changes["validate_every"] = min(params.dynamics.validate_every, own.steps)
        # another seed for each round: else it would draw the batches of the one before
        params = replace(
            params, seed=params.seed + number, dynamics=replace(params.dynamics, **changes)
        )
        start = Trained(
            f"models/{params.game}/{TRAINED}.safetensors",
            self.world.dynamics,
            self.config,
            list(self.spec.buttons),
        )
        fit = imported(FAMILIES[params.dynamics_kind].trainer)
        model, _, curve = fit(
            params, *splits.values(), latents, pictures, self.checkpoint(number), start
        )
        val = round(min(point["val"] for point in curve), 6)
        save_tensors(result, model.state_dict(), {"config": self.config, "val": val})
        for made in ("streams", "processed", "latents"):  # what later rounds do not need
            shutil.rmtree(folder / made)


def with_dynamics(world: WorldModel, file: Path) -> WorldModel:
    """Return the dream with dynamics of another file. Raises UserError where that is damaged."""
    dynamics = load_dynamics(file)
    return WorldModel(
        world.spec, world.representation, dynamics, world.starts, world.seen_as, world.device
    )


def copy_trained(paths: Paths) -> None:
    """Make the trained dynamics those of the dream, byte for byte."""
    with writing(paths.models / "dynamics.safetensors") as temporary:
        shutil.copyfile(paths.models / f"{TRAINED}.safetensors", temporary)
