"""A dream as ONNX files: ONNX Runtime dreams what torch dreams, and others are refused."""

import json

import numpy as np
import pytest
import torch
from toys.synthetic import BUTTONS, assert_sentence, make_tiles_world, make_world_of_cells

from dreamcart.core.errors import UserError
from dreamcart.world.export import NAMES, export_dream
from dreamcart.world.export_check import differing_frames
from dreamcart.world.model import load_world

onnxruntime = pytest.importorskip("onnxruntime")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """An untrained dream whose every frame is another, and its folder."""
    folder = tmp_path_factory.mktemp("export")
    world = load_world(make_world_of_cells(folder / "model"), CPU)
    export_dream(world, folder / "onnx")
    return world, folder / "onnx"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_onnx_runtime_dreams_the_same_frames(exported, temperature):
    """A thousand steps, fed the same noise."""
    assert differing_frames(*exported, 1000, temperature) == 0


def test_the_dream_is_worth_comparing(exported):
    """One that stood still would be the same in any runtime."""
    world, _ = exported
    state = world.start(world.starts["Begin"][None, None], np.zeros((1, 0, len(BUTTONS))))
    rng, shown = np.random.default_rng(0), set()
    for _ in range(100):
        frame, state = world.step(state, rng.integers(0, 2, (1, len(BUTTONS))))
        shown.add(frame.tobytes())
    assert len(shown) > 20


def test_differences_are_counted(exported):
    """A comparison that cannot fail would say nothing."""
    world, folder = exported
    tiles = world.dynamics.tiles
    kept = tiles.clone()
    tiles.copy_((tiles + 1) % 5)
    try:
        assert differing_frames(world, folder, 20, 0.0) > 0
    finally:
        tiles.copy_(kept)


def test_many_dreams_at_once(exported):
    """The files take a batch of any size, and each row is a dream of its own."""
    world, folder = exported
    step, begin = (
        onnxruntime.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])
        for name in ("step", "begin")
    )
    told = json.loads((folder / "dream.json").read_text())
    frames = np.fromfile(folder / "starts.bin", np.uint8)
    frames = frames.reshape(len(told["starts"]), told["height"], told["width"])
    assert told["state"] == NAMES
    np.testing.assert_array_equal(
        np.array(told["palette"], np.uint8)[frames[0]], world.starts[told["starts"][0]]
    )
    rng = np.random.default_rng(0)
    action = rng.integers(0, 2, (5, len(told["buttons"]))).astype(np.float32)
    noise = rng.random((5, told["noise"]), np.float32)

    def played(rows: slice) -> np.ndarray:
        count = len(action[rows])
        state = begin.run(None, {"frame": frames[:1].repeat(count, 0)})
        given = {
            "action": action[rows],
            "noise": noise[rows],
            "temperature": np.array(1, np.float32),
        }
        return step.run(None, given | dict(zip(told["state"], state, strict=True)))[0]

    together = played(slice(None))
    assert together.shape == (5, told["height"], told["width"])
    for row in range(5):
        np.testing.assert_array_equal(played(slice(row, row + 1))[0], together[row])


def test_other_families_are_refused(tmp_path):
    """They are no function of tensors."""
    world = load_world(make_tiles_world(tmp_path / "model"), CPU)
    with pytest.raises(UserError, match="kind 'transformer'") as caught:
        export_dream(world, tmp_path / "onnx")
    assert_sentence(caught.value)
    assert not (tmp_path / "onnx").exists()
