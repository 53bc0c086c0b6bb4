"""The numbers: metrics by hand, baselines that are what they say, rollouts that stay in their episode."""

import json
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
from synthetic import assert_sentence, make_rows, make_spec, make_split, write_raw

from dreamcart.config import PreprocessConfig, RolloutConfig
from dreamcart.data.preprocess import process_frame
from dreamcart.data.processed import Split, index_dtype
from dreamcart.data.reader import read_episodes
from dreamcart.data.schema import decode_image
from dreamcart.errors import UserError
from dreamcart.evaluation import rollout
from dreamcart.evaluation.control import controllability
from dreamcart.evaluation.metrics import Lpips, frame_metrics
from dreamcart.evaluation.rollout import SOURCES, choose_starts, curve_rows, evaluate_rollouts, load_test
from dreamcart.evaluation.single_step import single_step_report

SIZE = 16
SPEC = make_spec()
CONFIG = PreprocessConfig(height=SIZE, width=SIZE, color="gray", resize="area", val_share=0.2)

# A game of one number: LEFT and RIGHT move a block, which leaves on one side and enters on the other.


def draw(x: int) -> np.ndarray:
    """uint8 [SIZE, SIZE, 1]: the game's picture with the block at column x."""
    frame = np.full((SIZE, SIZE, 1), 20, np.uint8)
    frame[6:10, [x % SIZE, (x + 1) % SIZE]] = 220
    return frame


def moved(x: int, action: Any) -> int:
    pressed = dict(zip(SPEC.buttons, action, strict=True))
    return (x + pressed["RIGHT"] - pressed["LEFT"]) % SIZE


class World:
    """A dream of that game without a network: `perfect`, or one in which nothing ever happens."""

    def __init__(self, perfect: bool) -> None:
        self.perfect, self.spec = perfect, SPEC
        self.dynamics = SimpleNamespace(history_frames=2, history_actions=3)

    def start(self, frames: np.ndarray, actions: np.ndarray) -> np.ndarray:
        assert len(frames) == len(actions)
        return np.array([next(x for x in range(SIZE) if np.array_equal(draw(x), context[-1])) for context in frames])

    def step(self, state: np.ndarray, action: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.perfect:
            state = np.array([moved(x, pressed) for x, pressed in zip(state, action, strict=True)])
        return np.stack([draw(x) for x in state]), state

    def reconstruct(self, frames: np.ndarray) -> np.ndarray:
        return frames.copy()


class Emulator:
    """The game itself, behind the Emulator seam."""

    def reset(self, state: str, seed: int) -> np.ndarray:
        self.x = seed % SIZE
        return self._show()

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool]:
        self.x = moved(self.x, action)
        return self._show(), 0.0, False, False

    def variables(self) -> dict[str, Any]:
        return {}

    def save(self) -> bytes:
        return bytes([self.x])

    def restore(self, state: bytes) -> None:
        self.x = state[0]

    def _show(self) -> np.ndarray:
        return draw(self.x).repeat(3, 2)


def walk(lengths: list[int], seed: int = 0) -> Split:
    """Recorded episodes of the game: its buttons at random."""
    rng = np.random.default_rng(seed)
    index = np.zeros(sum(lengths), index_dtype(8))
    at = 0
    for number, length in enumerate(lengths):
        x = int(rng.integers(SIZE))
        for step in range(length):
            index[at]["episode"], index[at]["step"], index[at]["frame"] = number, step, x
            if step < length - 1:
                index["action"][at] = rng.integers(0, 2, 8)
                x = moved(x, index["action"][at])
            at += 1
    return Split(np.stack([draw(x) for x in range(SIZE)]), index, SPEC)


# Metrics


def flat(value: int, count: int = 1) -> np.ndarray:
    return np.full((count, 8, 8, 1), value, np.uint8)


def test_equal_frames_are_perfect():
    """The scores of a perfect prediction are the ends of their scales."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    scores = frame_metrics(frames, frames, flat(0).repeat(3, 3))
    wanted = {"l1": 0, "psnr": 100, "ssim": 1, "exact": 1, "changed_l1": 0}
    for name, value in wanted.items():
        np.testing.assert_allclose(scores[name], [value] * 3, err_msg=name)


def test_errors_are_on_the_scale_from_0_to_1():
    """Black for white is an error of 1, and half of the range is 6 dB."""
    scores = frame_metrics(flat(0), flat(255), flat(0))
    assert (scores["l1"], scores["exact"], scores["changed_l1"]) == (1, 0, 1)
    np.testing.assert_allclose(scores["psnr"], 0, atol=1e-9)
    np.testing.assert_allclose(frame_metrics(flat(102), flat(0), flat(0))["psnr"], -20 * np.log10(0.4))


def test_changed_l1_looks_at_changed_pixels_only():
    """One pixel changed, and was missed by half: the still background must not dilute that."""
    context, true, predicted = flat(0), flat(0), flat(51)
    true[0, 2, 3] = 255
    predicted[0, 2, 3] = 127
    scores = frame_metrics(predicted, true, context)
    assert scores["changed_l1"][0] == pytest.approx(128 / 255)
    assert scores["l1"][0] == pytest.approx((63 * 51 + 128) / 64 / 255)


def test_changed_l1_is_nan_where_nothing_changed():
    """No changed pixels have no mean: zero would flatter, so it is no number."""
    scores = frame_metrics(flat(9, 2), np.concatenate([flat(7), flat(8)]), flat(7, 2))
    assert np.isnan(scores["changed_l1"]).tolist() == [True, False]


def test_one_wrong_pixel_is_not_exact():
    """`exact` is every pixel of every channel, for each frame of its own."""
    true = np.zeros((2, 8, 8, 3), np.uint8)
    predicted = true.copy()
    predicted[1, 0, 0, 2] = 1
    assert frame_metrics(predicted, true, true)["exact"].tolist() == [1, 0]


def test_lpips_without_weights_goes_by_another_name(monkeypatch):
    """A random backbone's number must never stand under the name of the real one, and is the same in every run."""
    lpips = pytest.importorskip("lpips")
    real = lpips.LPIPS

    def unreachable(*args, pnet_rand=False, **options):
        if not pnet_rand:
            raise URLError("no network")
        return real(*args, pnet_rand=pnet_rand, **options)

    monkeypatch.setattr(lpips, "LPIPS", unreachable)
    frames = np.random.default_rng(0).integers(0, 256, (2, 2, 64, 64, 1), np.uint8)
    first = Lpips()
    assert first.key == "lpips_untrained"
    np.testing.assert_allclose(first(frames[0], frames[0]), 0, atol=1e-6)
    assert (first(frames[0], frames[1]) > 0).all()
    torch.manual_seed(1)
    np.testing.assert_array_equal(Lpips()(frames[0], frames[1]), first(frames[0], frames[1]))


@pytest.mark.parametrize("size", [8, 16])
def test_lpips_takes_the_smallest_frames_that_params_allow(monkeypatch, size):
    """preprocess.height may be 8: the evaluation must not fail there, after all the training."""
    lpips = pytest.importorskip("lpips")
    real = lpips.LPIPS
    monkeypatch.setattr(lpips, "LPIPS", lambda **options: real(**options | {"pnet_rand": True, "lpips": False}))
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, size, size, 1), np.uint8)
    assert np.isfinite(Lpips()(frames[0], frames[1])).all()


# Rollouts


class NoLpips:
    """Stands for the learned distance, which the tests of the table do not need."""

    key = "lpips"

    def __call__(self, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
        return np.zeros(len(true))


@pytest.fixture
def no_lpips(monkeypatch):
    monkeypatch.setattr(rollout, "Lpips", NoLpips)


ROLLOUTS = RolloutConfig(horizons=[5, 1, 3], starts=12, batch_size=5, control_states=0)
MEDIAN = np.full((SIZE, SIZE, 1), 20, np.uint8)


@pytest.mark.usefixtures("no_lpips")
def test_a_dead_world_scores_as_persistence():
    """A dream in which nothing happens is the last context frame, so its row is the baseline's own."""
    table, _ = evaluate_rollouts(World(perfect=False), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    assert table["model"] == table["persistence"]
    assert table["model"]["5"]["l1"] > 0


@pytest.mark.usefixtures("no_lpips")
def test_a_perfect_world_is_exact_at_every_horizon():
    """Buttons and frames are lined up: a model that knows the game makes no error, and stays free-running."""
    table, shown = evaluate_rollouts(World(perfect=True), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    assert list(table) == list(SOURCES)
    for source in ("model", "reconstruction"):
        for scores in table[source].values():
            assert (scores["l1"], scores["exact"], scores["ssim"], scores["changed_l1"]) == (0, 1, 1, 0)
    np.testing.assert_array_equal(shown.real, shown.dream)
    assert shown.real.shape == (4, 5, SIZE, SIZE, 1)


@pytest.mark.usefixtures("no_lpips")
def test_baselines_are_what_they_say():
    """Persistence is the last frame before the dream, median the given frame: computed here once more by hand."""
    test = walk([20, 20, 20])
    table, _ = evaluate_rollouts(World(perfect=True), test, MEDIAN, ROLLOUTS, seed=0)
    starts = choose_starts(test, 12, 5, 0)
    before = test.frames[test.index["frame"][starts]]
    for horizon in (1, 3, 5):
        true = test.frames[test.index["frame"][starts + horizon]]
        for source, picture in (("persistence", before), ("median", np.broadcast_to(MEDIAN, true.shape))):
            for name, values in frame_metrics(picture, true, before).items():
                assert table[source][str(horizon)][name] == pytest.approx(np.nanmean(values), abs=1e-6), (source, name)


@pytest.mark.usefixtures("no_lpips")
def test_the_table_does_not_depend_on_the_batch_size():
    """A batch is a matter of memory, not of the result."""
    test = walk([20, 20, 20])
    tables = [
        evaluate_rollouts(World(perfect=False), test, MEDIAN, RolloutConfig([1, 5], 12, size, 0), seed=0)[0] for size in (3, 12)
    ]
    assert tables[0] == tables[1]


@pytest.mark.usefixtures("no_lpips")
def test_the_table_is_json_also_where_nothing_changes():
    """NaN is not JSON: a test in which no picture changes must still write a metrics file that others read."""
    test = walk([20, 20])
    test.index["frame"][:] = 3
    table, _ = evaluate_rollouts(World(perfect=False), test, MEDIAN, ROLLOUTS, seed=0)
    json.dumps(table, allow_nan=False)


@pytest.mark.usefixtures("no_lpips")
def test_curve_rows_hold_the_table():
    """The CSV for plots says the same as the JSON."""
    table, _ = evaluate_rollouts(World(perfect=False), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    rows = curve_rows(table)
    assert len(rows) == len(SOURCES) * 3
    assert {row["step"] for row in rows} == {1, 3, 5}
    assert all(table[row["source"]][str(row["step"])]["l1"] == row["l1"] for row in rows)


@pytest.mark.parametrize("horizon", [1, 5, 9])
def test_starts_leave_room_and_spread_over_the_episodes(horizon):
    """A rollout must end within its episode, and every episode that is long enough gives as many."""
    test = make_split([12, 30, 4, 12])
    starts = choose_starts(test, 6, horizon, seed=0)
    assert len(np.unique(starts)) == len(starts)
    np.testing.assert_array_equal(test.index["episode"][starts], test.index["episode"][starts + horizon])
    counts = np.bincount(test.index["episode"][starts], minlength=4)
    long_enough = [0, 1, 2, 3] if horizon == 1 else [0, 1, 3]
    assert counts[long_enough].sum() == 6
    assert np.ptp(counts[long_enough]) <= 1


def test_starts_are_as_many_as_asked_for():
    """rollout_eval.starts is the number of rollouts, also where there are more episodes, or no even share."""
    test = make_split([12] * 5)
    assert [len(choose_starts(test, count, 3, 0)) for count in (3, 5, 7)] == [3, 5, 7]


def test_starts_depend_on_the_seed_alone():
    """Runs are compared on the same frames."""
    test = make_split([40, 40])
    np.testing.assert_array_equal(choose_starts(test, 10, 5, 1), choose_starts(test, 10, 5, 1))
    assert choose_starts(test, 10, 5, 1).tolist() != choose_starts(test, 10, 5, 2).tolist()


def test_too_short_episodes_are_refused():
    """A horizon that no test episode reaches is a mistake in params.yaml, and is named as one."""
    with pytest.raises(UserError, match=r"rollout_eval\.horizons") as caught:
        choose_starts(make_split([5, 6]), 3, 6, 0)
    assert_sentence(caught.value)


def test_test_frames_are_made_as_training_frames(tmp_path):
    """The test episodes pass through the same resizing, step by step and in their order."""
    raw = write_raw(tmp_path / "raw", [make_rows(n, 5 + n, first=n) for n in range(3)])
    test = load_test(raw, CONFIG, tmp_path)
    wanted = [process_frame(decode_image(row["observations"]["bytes"]), CONFIG) for e in read_episodes(raw) for row in e]
    np.testing.assert_array_equal(test.frames[test.index["frame"]], np.stack(wanted))
    assert np.bincount(test.index["episode"]).tolist() == [5, 6, 7]


# Single steps


def test_single_steps_of_a_perfect_world_have_no_error():
    """Every kind of transition is scored, on the buttons that were pressed then."""
    split = walk([200])
    split.index["action"][::2] = 0
    frame = int(split.index["frame"][0])
    for record in range(len(split.index)):  # replay, for the buttons were changed
        split.index["frame"][record] = frame
        frame = moved(frame, split.index["action"][record])
    report = single_step_report(World(perfect=True), split, 0)
    assert list(report) == ["random", "changed", "no_input"]
    assert {scores["model_l1"] for scores in report.values()} == {0}
    assert report["changed"]["persistence_l1"] == pytest.approx(2 * 4 * 200 / 255 / SIZE**2, abs=1e-6)
    assert report["no_input"]["persistence_l1"] == 0


def test_single_steps_of_a_dead_world_are_persistence():
    """The baseline is the current frame, so a world that repeats it scores the same."""
    split = walk([60])
    report = single_step_report(World(perfect=False), split, 0)
    assert all(scores["model_l1"] == scores["persistence_l1"] for scores in report.values())
    assert report["random"]["count"] == 59


# Controllability


@pytest.mark.parametrize(("perfect", "iou"), [(True, 1.0), (False, 0.0)])
def test_controllability_of_a_perfect_and_of_a_dead_world(perfect, iou):
    """The score's ends: every button does what it does in the game, or no button does anything."""
    report = controllability(Emulator(), SPEC, World(perfect), CONFIG, count=7, seed=0)
    assert report["iou"] == iou
    assert report["by_button"] == {"LEFT": iou, "RIGHT": iou}
    assert report["cases"] == 14
    assert report["false_effect"] == 0


def test_controllability_counts_effects_that_the_game_lacks():
    """A dream in which every button moves the block must not pass for a controllable one."""

    class Restless(World):
        def step(self, state, action):
            state = (state + action.sum(1, dtype=int)) % SIZE
            return np.stack([draw(x) for x in state]), state

    report = controllability(Emulator(), SPEC, Restless(perfect=True), CONFIG, count=3, seed=0)
    assert report["false_effect"] == 1
    assert report["by_button"]["RIGHT"] == 1
    assert report["by_button"]["LEFT"] < 1
