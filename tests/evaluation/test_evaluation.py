"""The numbers: metrics by hand, baselines that are what they say, rollouts that stay in their
episode.
"""

import json
import re
from types import SimpleNamespace
from typing import Any

import lpips
import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from toys.block import SIZE, SPEC, World, draw, moved, walk
from toys.synthetic import assert_sentence, make_rows, make_spec, make_split, write_raw

from dreamcart.core.errors import UserError
from dreamcart.core.pretrained import load_features
from dreamcart.data.images import decode_image
from dreamcart.data.preprocess import process_frame
from dreamcart.data.processed import Split
from dreamcart.data.reader import read_episodes
from dreamcart.data.scripts import make_policy
from dreamcart.data.unsplit import load_unsplit
from dreamcart.evaluation import metrics, rollout
from dreamcart.evaluation.control import HOLD, controllability
from dreamcart.evaluation.draws import Draws
from dreamcart.evaluation.metrics import Lpips, frame_metrics, make_lpips
from dreamcart.evaluation.readback import load_reader
from dreamcart.evaluation.report import headline, print_report
from dreamcart.evaluation.rollout import (
    SOURCES,
    add_skill,
    choose_starts,
    curve_rows,
    evaluate_rollouts,
)
from dreamcart.evaluation.screens import Screens, load_infos
from dreamcart.evaluation.single_step import single_step_report
from dreamcart.games.catalog import load_game
from dreamcart.games.emulator import open_emulator
from dreamcart.params import PreprocessConfig, RolloutConfig

CONFIG = PreprocessConfig(height=SIZE, width=SIZE, color="gray", resize="area", val_share=0.2)

# A game of one number: LEFT and RIGHT move a block, which leaves on one side and enters on the
# other.


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


# Metrics


def flat(value: int, count: int = 1) -> np.ndarray:
    return np.full((count, 8, 8, 1), value, np.uint8)


def test_equal_frames_are_perfect():
    """The scores of a perfect prediction are the ends of their scales."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    scores = frame_metrics(frames, frames, flat(0).repeat(3, 3))
    wanted = {"l1": 0, "psnr": 100, "ssim": 1, "exact": 1, "wrong_pixels": 0, "changed_l1": 0}
    for name, value in wanted.items():
        np.testing.assert_allclose(scores[name], [value] * 3, err_msg=name)


def test_errors_are_on_the_scale_from_0_to_1():
    """Black for white is an error of 1, and half of the range is 6 dB."""
    scores = frame_metrics(flat(0), flat(255), flat(0))
    assert (scores["l1"], scores["exact"], scores["changed_l1"]) == (1, 0, 1)
    np.testing.assert_allclose(scores["psnr"], 0, atol=1e-9)
    np.testing.assert_allclose(
        frame_metrics(flat(102), flat(0), flat(0))["psnr"], -20 * np.log10(0.4)
    )


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


def test_wrong_pixels_are_counted_once():
    """A pixel is wrong in whatever many channels: the share of the picture that a player sees
    wrong.
    """
    true = np.zeros((2, 8, 8, 3), np.uint8)
    predicted = true.copy()
    predicted[1, 0, 0] = (1, 0, 255)
    predicted[1, 7, 3, 1] = 9
    assert frame_metrics(predicted, true, true)["wrong_pixels"].tolist() == [0, 2 / 64]
    assert "field_wrong_pixels" not in frame_metrics(predicted, true, true)
    half = frame_metrics(predicted, true, true, (slice(0, 4), slice(0, 8)))
    wrong = (predicted != true).any(3)
    assert half["field_wrong_pixels"].tolist() == wrong[:, :4].mean((1, 2)).tolist()


def test_sharpness_is_one_for_equal_frames_less_for_blur_and_nothing_for_one_colour():
    """A blurred dream must not look as sharp as the game; a frame without edges says nothing."""
    true = np.zeros((3, 8, 8, 1), np.uint8)
    true[:2, :, 4:] = 200
    predicted = true.copy()
    predicted[1, :, 3:5] = 100  # the edge of 200 in two steps of 100: a quarter of the energy each
    np.testing.assert_allclose(frame_metrics(predicted, true, true)["sharpness"], [1, 0.5, np.nan])


def test_the_short_cut_of_ssim_is_none_in_effect(monkeypatch):
    """Equal frames are not compared window by window, which is dear, and score what they would have
    scored.
    """
    true = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    predicted = true.copy()
    predicted[1, 4:9] = 0
    wanted = [
        structural_similarity(p, t, channel_axis=2, data_range=255)
        for p, t in zip(predicted, true, strict=True)
    ]
    compared = []
    monkeypatch.setattr(
        metrics,
        "structural_similarity",
        lambda *frames, **options: compared.append(0) or structural_similarity(*frames, **options),
    )
    np.testing.assert_allclose(frame_metrics(predicted, true, true)["ssim"], wanted)
    assert len(compared) == 1


def scene(at: int) -> np.ndarray:
    """uint8 [96, 120, 3]: a sign at column `at`, before colours that change slowly or often."""
    y, x = np.mgrid[:96, :120]
    frame = np.stack([2 * y, x + 40, (x * y) % 61], 2).astype(np.uint8)
    frame[40:64, at : at + 24] = (250, 230, 20)
    frame[46:58:4, at + 4 : at + 20] = 0
    return frame


def small_scene(at: int) -> np.ndarray:
    """uint8 [16, 20, 3]: the sign at a sixth of its size."""
    return scene(at)[36:68:2, ::6]


def package_distance(one: np.ndarray, other: np.ndarray, net: str, name: str) -> float:
    """The `lpips` package's own distance of two frames, with our weights in its network."""
    model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    weights = load_features(name).state_dict()
    model.net.load_state_dict(
        {key: weights[key.partition(".")[2]] for key in model.net.state_dict()}
    )
    planes = [
        torch.from_numpy(frame[None]).permute(0, 3, 1, 2).float() / 127.5 - 1
        for frame in (one, other)
    ]
    with torch.inference_mode():
        return model(*planes).item()


@pytest.fixture(scope="module")
def measure():
    """The genuine measure."""
    made = make_lpips()
    assert made, "AlexNet's weights are missing, which `make setup` brings"
    return made


def distance(measure: Lpips, one: np.ndarray, other: np.ndarray) -> float:
    return measure({"one": one[None]}, other[None])["one"][0]


def test_lpips_is_the_published_one(measure):
    """The distance of two frames of ours, pinned; the same by the package itself, either way round,
    and 0 for equal frames."""
    one, other = scene(16), scene(60)
    assert distance(measure, one, other) == pytest.approx(0.612715, abs=1e-4)
    assert distance(measure, one, other) == pytest.approx(
        package_distance(one, other, "alex", "alexnet"), abs=1e-5
    )
    assert distance(measure, other, one) == pytest.approx(distance(measure, one, other), abs=1e-5)
    assert distance(measure, one, one) == 0


def test_vgg16_is_the_published_one():
    """By the package's other network the same frames are as far apart as these weights make them,
    pinned too."""
    assert package_distance(scene(16), scene(60), "vgg", "vgg16") == pytest.approx(
        0.266583, abs=1e-4
    )


def test_lpips_of_grey_and_of_small_frames_is_that_of_the_same_picture(measure):
    """Grey stands for three equal colours; under 64 pixels each becomes a square, by the least
    factor that suffices."""
    grey = [scene(at)[..., :1] for at in (16, 60)]
    assert distance(measure, *grey) == pytest.approx(0.587919, abs=1e-4)
    assert distance(measure, *grey) == pytest.approx(
        distance(measure, *(frame.repeat(3, 2) for frame in grey)), abs=1e-6
    )
    small = [small_scene(at) for at in (16, 60)]
    large = [frame.repeat(4, 0).repeat(4, 1) for frame in small]
    assert distance(measure, *small) == pytest.approx(0.62507, abs=1e-4)
    assert distance(measure, *small) == pytest.approx(
        package_distance(*large, "alex", "alexnet"), abs=1e-5
    )


@pytest.mark.parametrize("size", [8, 31, 63])
def test_lpips_takes_the_smallest_frames_that_params_allow(measure, size):
    """preprocess.height may be 8: the evaluation must not fail there, after all the training."""
    frames = np.random.default_rng(0).integers(0, 256, (2, size, size + 3, 1), np.uint8)
    assert 0 < distance(measure, *frames) < 3


def test_lpips_of_many_frames_is_that_of_each(measure):
    """Batches and shortcuts (equal frames, one frame for all, what is true looked at once) must not
    move or change a score."""
    true = np.stack([small_scene(at) for at in range(0, 80, 4)])
    wrong = np.arange(len(true)) % 3 == 1
    pictures = {
        "some": np.where(wrong[:, None, None, None], true[::-1], true),
        "one for all": np.broadcast_to(small_scene(90), true.shape),
        "right": true.copy(),
    }
    assert len(true) > metrics.LPIPS_BATCH
    found = measure(pictures, true)
    assert list(found) == list(pictures)
    for name, frames in pictures.items():
        alone = [distance(measure, one, other) for one, other in zip(frames, true, strict=True)]
        np.testing.assert_allclose(found[name], alone, atol=1e-5)
    assert (found["some"] > 0).tolist() == wrong.tolist()


def test_lpips_looks_at_what_differs_only(measure, monkeypatch):
    """A lossless dream repeats the true frame most of the time: the network need not look."""
    looked = []
    plain = measure._features
    monkeypatch.setattr(
        measure, "_features", lambda frames: looked.append(len(frames)) or plain(frames)
    )
    true = np.stack([small_scene(at) for at in range(0, 80, 4)])
    assert not measure({"right": true.copy()}, true)["right"].any()
    assert looked == []
    predicted = true.copy()
    predicted[[3, 7]] = 0
    assert np.flatnonzero(measure({"model": predicted, "right": true}, true)["model"]).tolist() == [
        3,
        7,
    ]
    assert looked == [2, 2]


def test_making_lpips_draws_no_random_numbers():
    """Else a dream that draws would come out otherwise where the weights are missing."""
    torch.manual_seed(3)
    wanted = torch.rand(1)
    torch.manual_seed(3)
    make_lpips()
    assert torch.rand(1) == wanted


def test_without_weights_there_is_no_lpips(monkeypatch, capsys):
    """No stand-in goes by that name: the scores lack it, the headline too, and the table says what
    is missing."""
    monkeypatch.setattr(metrics, "load_features", lambda name: None)
    table, shown = evaluate_rollouts(
        World(perfect=False), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0
    )
    assert not {
        name
        for by_horizon in table.values()
        for scores in by_horizon.values()
        for name in scores
        if "lpips" in name
    }
    report = table | {"motion": {}, "diversity": {}, "of": {"starts": shown.count}}
    assert "lpips" not in headline(report)
    print_report("Dream", report)
    printed = capsys.readouterr().out
    assert "LPIPS is missing" in printed
    assert re.search(r"step +exact +ssim +lpips +l1 +skill", printed)


# Rollouts


@pytest.fixture
def no_lpips(monkeypatch):
    """Without the learned distance, which the tests of the table do not need."""
    monkeypatch.setattr(rollout, "make_lpips", lambda: None)


ROLLOUTS = RolloutConfig(horizons=[5, 1, 3], starts=12, batch_size=5, control_states=0)
MEDIAN = np.full((SIZE, SIZE, 1), 20, np.uint8)


@pytest.mark.usefixtures("no_lpips")
def test_a_dead_world_scores_as_persistence():
    """A dream in which nothing happens is the last context frame, so its row is the
    baseline's own.
    """
    table, _ = evaluate_rollouts(World(perfect=False), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    assert table["model"] == table["persistence"]
    assert table["model"]["5"]["l1"] > 0


@pytest.mark.usefixtures("no_lpips")
def test_a_perfect_world_is_exact_at_every_horizon():
    """Buttons and frames are lined up: a model that knows the game makes no error, and stays
    free-running.
    """
    table, shown = evaluate_rollouts(
        World(perfect=True), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0
    )
    assert list(table) == list(SOURCES)
    for source in ("model", "reconstruction"):
        for scores in table[source].values():
            assert (scores["l1"], scores["exact"], scores["ssim"], scores["changed_l1"]) == (
                0,
                1,
                1,
                0,
            )
    np.testing.assert_array_equal(shown.real, shown.dream)
    assert shown.real.shape == (4, 5, SIZE, SIZE, 1)


@pytest.mark.usefixtures("no_lpips")
def test_baselines_are_what_they_say():
    """Persistence is the last frame before the dream, median the given frame: computed here once
    more by hand.
    """
    test = walk([20, 20, 20])
    table, _ = evaluate_rollouts(World(perfect=True), test, MEDIAN, ROLLOUTS, seed=0)
    starts = choose_starts(test, 12, 5, 0)
    before = test.frames[test.index["frame"][starts]]
    for horizon in (1, 3, 5):
        true = test.frames[test.index["frame"][starts + horizon]]
        for source, picture in (
            ("persistence", before),
            ("median", np.broadcast_to(MEDIAN, true.shape)),
        ):
            for name, values in frame_metrics(picture, true, before).items():
                assert table[source][str(horizon)][name] == pytest.approx(
                    np.nanmean(values), abs=1e-6
                ), (source, name)


@pytest.mark.usefixtures("no_lpips")
def test_the_table_does_not_depend_on_the_batch_size():
    """A batch is a matter of memory, not of the result."""
    test = walk([20, 20, 20])
    tables = [
        evaluate_rollouts(
            World(perfect=False), test, MEDIAN, RolloutConfig([1, 5], 12, size, 0), seed=0
        )[0]
        for size in (3, 12)
    ]
    assert tables[0] == tables[1]


@pytest.mark.usefixtures("no_lpips")
def test_the_table_is_json_also_where_nothing_changes():
    """NaN is not JSON: a test in which no picture changes must still write a metrics file that
    others read.
    """
    test = walk([20, 20])
    test.index["frame"][:] = 3
    table, _ = evaluate_rollouts(World(perfect=False), test, MEDIAN, ROLLOUTS, seed=0)
    json.dumps(table, allow_nan=False)


def test_lpips_is_in_the_table():
    """Every source has it at every horizon: 0 for what is exact, more for what is not."""
    table, _ = evaluate_rollouts(World(perfect=True), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    for source, by_horizon in table.items():
        for scores in by_horizon.values():
            assert (scores["lpips"] == 0) == (scores["exact"] == 1), source


# Skill and the headline


@pytest.mark.usefixtures("no_lpips")
def test_skill_is_1_for_the_game_and_0_for_the_better_baseline():
    """It compares the error on changed pixels with the better of two pictures that need no
    model."""
    table, _ = evaluate_rollouts(World(perfect=True), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    dead, _ = evaluate_rollouts(World(perfect=False), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    for step in ("1", "3", "5"):
        assert table["model"][step]["skill"] == table["reconstruction"][step]["skill"] == 1
        better = min(("persistence", "median"), key=lambda name: table[name][step]["changed_l1"])
        assert table[better][step]["skill"] == 0
        assert dead["model"][step]["skill"] == table["persistence"][step]["skill"] <= 0


@pytest.mark.parametrize(
    ("model", "copied", "median", "skill"),
    [
        (0.1, 0.4, 0.2, 0.5),
        (0.1, 0.2, 0.4, 0.5),
        (0.3, 0.2, 0.4, -0.5),
        (0.0, 0.2, 0.4, 1.0),
        (None, None, None, None),  # nothing changed
        (0.1, 0.2, 0.0, None),  # the median frame is the game
    ],
)
def test_skill_by_hand(model, copied, median, skill):
    scores = {"model": model, "persistence": copied, "median": median}
    table = {name: {"10": {"changed_l1": value}} for name, value in scores.items()}
    add_skill(table)
    assert table["model"]["10"]["skill"] == (skill if skill is None else pytest.approx(skill))


def report_of(steps: list[int]) -> dict[str, Any]:
    scores = {
        "l1": 0.1,
        "psnr": 30.0,
        "ssim": 0.9,
        "exact": 0.5,
        "changed_l1": 0.2,
        "lpips": 0.3,
        "skill": 0.4,
    }
    sources = {name: {str(step): scores for step in steps} for name in SOURCES}
    return sources | {
        "controllability": {"iou": 0.8, "by_button": {"A": 0.8}},
        "screens": {},
        "of": {"starts": 4},
    }


def test_the_headline_is_few_numbers_that_sort_as_they_should():
    """At most 40, a score at a step each: SSIM, LPIPS, L1, exact and skill at 1, 5, 10, 30, 60 and
    300, and controllability."""
    found = headline(report_of([1, 5, 10, 16, 30, 60, 128, 300, 1000]))
    scores = {name: value for name, value in found.items() if isinstance(value, dict)}
    assert set(scores) == {"exact", "ssim", "lpips", "l1", "skill"}
    assert found["controllability"] == 0.8
    for by_step in scores.values():
        assert sorted(by_step) == list(by_step) == ["001", "005", "010", "030", "060", "300"]
    assert sum(map(len, scores.values())) + 1 == 31


@pytest.mark.parametrize(
    ("steps", "named"),
    [([1, 10, 700], ["001", "010"]), ([2, 3], ["002", "003"]), ([4000], ["4000"])],
)
def test_the_headline_has_the_steps_that_were_measured(steps, named):
    """Other horizons than the usual ones are no reason for an empty headline."""
    found = headline(report_of(steps))
    assert list(found["skill"]) == named
    assert "controllability" not in headline(
        {key: part for key, part in report_of(steps).items() if key != "controllability"}
    )


@pytest.mark.usefixtures("no_lpips")
def test_curve_rows_hold_the_table():
    """The CSV for plots says the same as the JSON."""
    table, _ = evaluate_rollouts(World(perfect=False), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    rows = curve_rows(table)
    assert len(rows) == len(SOURCES) * 3
    assert {row["step"] for row in rows} == {1, 3, 5}
    assert all(table[row["source"]][str(row["step"])]["l1"] == row["l1"] for row in rows)


class Chance(World):
    """A dream of a game of chance: where the block goes is drawn, or told.

    It notes how it was asked.
    """

    def __init__(self, takes_truth: bool = True) -> None:
        super().__init__(perfect=False)
        self.spec, self.temperature = make_spec(seed_variable="rng"), 1.0
        self.dynamics.takes_truth = takes_truth
        self.asked, self.told = [], []

    def step(self, state, action, temperature=0.0, generator=None, truth=None, told=None):
        self.asked.append((temperature, generator is not None, truth is not None))
        if truth is not None:
            self.told.append(told)
            return truth.copy(), state
        return (
            np.stack([draw(int(torch.randint(SIZE, (1,), generator=generator))) for _ in state]),
            state,
        )


@pytest.mark.usefixtures("no_lpips")
def test_a_dream_counts_up_to_the_games_next_draw(monkeypatch):
    """Nobody can foresee a draw: what comes with it or after it must not count, and what comes
    before must.
    """
    # draws at records 3 and 5
    infos = [json.dumps({"rng": value}) for value in (5, 5, 5, 7, 7, 8, 8, 8, 8)]
    frames, wrong = np.zeros((4, 2, 2, 1), np.uint8), np.ones((1, 2, 2, 1), np.uint8)
    draws = Draws(infos, "rng", 3)
    draws.begin(np.array([0, 1, 2, 5]))  # 2, 1 and 0 steps before a draw, and none within three
    draws.see(1, frames, frames)
    draws.see(2, np.concatenate([frames[:1], wrong, wrong, frames[:1]]), frames)
    draws.see(3, np.concatenate([wrong, wrong, wrong, wrong]), frames)
    report = draws.report()
    assert {name: report.pop(name) for name in ("rollouts", "steps", "exact")} == {
        "rollouts": 3,
        "steps": 2.0,
        "exact": pytest.approx(2 / 3, abs=1e-6),
    }
    assert report == {"far_rollouts": 0, "far_steps": None, "far_exact": None}
    monkeypatch.setattr("dreamcart.evaluation.draws.FAR", 3)
    report = draws.report()
    assert (report["far_rollouts"], report["far_steps"], report["far_exact"]) == (1, 3.0, 0.0)


@pytest.mark.usefixtures("no_lpips")
def test_a_game_of_chance_is_also_scored_with_the_chances_given():
    """Nobody can foretell the next piece: beside the dream that draws stands one that is told, and
    both are repeatable.
    """
    world = Chance()
    table, shown = evaluate_rollouts(world, walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)
    assert list(table) == [*SOURCES, "told"]
    assert {scores["exact"] for scores in table["told"].values()} == {1}
    assert world.told == [None] * 15, "at every step, for where the game draws is not known"
    assert max(scores["exact"] for scores in table["model"].values()) < 1
    assert set(world.asked) == {(1.0, True, False), (0.0, False, True)}
    assert (shown.real != shown.dream).any()
    assert table == evaluate_rollouts(Chance(), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0)[0]
    assert (
        table["told"]
        != evaluate_rollouts(Chance(), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=1)[0]["model"]
    )


@pytest.mark.usefixtures("no_lpips")
def test_only_the_games_own_draws_are_given():
    """Where the game tells when it draws, what is given is what it drew, and not the way out of the
    dream's own doubts.
    """
    world, test = Chance(), walk([20, 20, 20])
    draws = Draws([json.dumps({"rng": number // 7}) for number in range(len(test.index))], "rng", 5)
    table, _ = evaluate_rollouts(world, test, MEDIAN, ROLLOUTS, 0, draws=draws)
    assert list(table) == [*SOURCES, "given"]
    starts = np.random.default_rng([0, 8]).permutation(choose_starts(test, 12, 5, 0))
    batches = [
        starts[first : first + ROLLOUTS.batch_size] for first in range(0, 12, ROLLOUTS.batch_size)
    ]
    wanted = [(at + step) % 7 == 0 for at in batches for step in range(1, 6)]
    assert [told.tolist() for told in world.told] == [told.tolist() for told in wanted]
    assert any(told.any() for told in wanted)
    assert not all(told.all() for told in wanted)


@pytest.mark.usefixtures("no_lpips")
def test_latents_without_tokens_are_told_nothing():
    """An autoencoder's dream has no doubts that could be settled one by one, so there is no such
    row.
    """
    table, _ = evaluate_rollouts(
        Chance(takes_truth=False), walk([20, 20, 20]), MEDIAN, ROLLOUTS, seed=0
    )
    assert list(table) == list(SOURCES)


# Screens


class BlockReader:
    """Reads the made-up game: where the block stands. It notes how often it was asked."""

    shape = (SIZE, SIZE, 1)
    field = (slice(0, 4), slice(0, SIZE))

    def __init__(self) -> None:
        self.count = 0

    def read(self, frame: np.ndarray) -> dict[str, Any]:
        self.count += 1
        return {"x": next((x for x in range(SIZE) if np.array_equal(draw(x), frame)), None)}

    def truth(self, variables: dict[str, Any]) -> dict[str, Any]:
        return {"x": variables["x"]}

    def score(self, real: dict[str, Any], dream: dict[str, Any]) -> dict[str, float]:
        return {"x": float(real["x"] == dream["x"])}

    def checker(self) -> SimpleNamespace:
        past = []

        def step(read: dict[str, Any]) -> SimpleNamespace:
            past.append(read["x"])
            jumped = (
                len(past) > 1 and None not in past[-2:] and (past[-1] - past[-2] + 1) % SIZE > 2
            )
            moved = len(past) > 1 and past[-1] != past[-2]
            reasons = ("block",) if read["x"] is None else ("jump",) if jumped else ()
            return SimpleNamespace(
                reasons=reasons, events=frozenset(["move"] if moved and not reasons else [])
            )

        return SimpleNamespace(step=step)


def screens_of(test: Split, horizons: list[int]) -> Screens:
    infos = [json.dumps({"x": int(row)}) for row in test.index["frame"]]
    return Screens(BlockReader(), test, infos, horizons)


@pytest.mark.usefixtures("no_lpips")
@pytest.mark.parametrize("perfect", [True, False])
def test_screens_are_read_back_while_rollouts_run(perfect):
    """All steps of all rollouts are read, beside the real ones of the same starts, batch after
    batch.
    """
    test = walk([20, 20, 20])
    screens = screens_of(test, ROLLOUTS.horizons)
    table, _ = evaluate_rollouts(World(perfect), test, MEDIAN, ROLLOUTS, 0, screens)
    report = screens.report()
    for horizon in ("1", "3", "5"):
        assert report["states"][horizon] == {
            "x": pytest.approx(table["model"][horizon]["exact"], abs=1e-6),
            "count": 12,
        }
    assert (report["legality"]["steps"], report["legality"]["illegal"]) == (60, 0)
    events = report["events"]["move"]
    assert events["real"] > 0
    assert (events["dream"], events["f1"]) == ((events["real"], 1.0) if perfect else (0, 0.0))


def test_a_screen_that_stays_is_read_once():
    """Reading is dear: a frame like the one before, and a real frame seen before, are not read
    again.
    """
    test = walk([30])
    screens = screens_of(test, [5])
    screens.begin(np.array([0, 1]))
    still = np.stack([draw(3), draw(4)])
    for step in range(1, 6):
        screens.see(step, still, still if step > 1 else None)
    assert screens.reader.count == 2
    assert screens.report()["legality"]["steps"] == 10
    assert screens.reader.count <= 2 + SIZE


def test_screens_are_followed_for_a_time_only(monkeypatch):
    """Events of a long rollout would drown in what chance made of it; of later screens those at the
    horizons are read.
    """
    monkeypatch.setattr("dreamcart.evaluation.screens.STEPS", 4)
    test = walk([30])
    screens = screens_of(test, [2, 9])
    screens.begin(np.array([0]))
    for step in range(1, 10):
        screens.see(step, draw(1)[None], None)
    report = screens.report()
    assert (report["legality"]["steps"], list(report["states"])) == (4, ["2", "9"])
    assert list(report["states_persistence"]) == ["2", "9"]


def test_the_real_game_is_read_back_as_right(tmp_path):
    """A dream that is the game itself scores full marks in everything: else the scale would
    be off.
    """
    pytest.importorskip("stable_retro")
    spec = load_game("blockfall")
    emulator, policy, rng = open_emulator(spec), make_policy("bot", spec), np.random.default_rng(0)
    rows, frame = [], emulator.reset("NearClearA", 0)
    for step in range(130):
        variables = emulator.variables()
        action = spec.vector(policy.act(variables, rng))
        row = {
            "episode_id": 0,
            "step": step,
            "seed": 0,
            "observations": frame,
            "rewards": 0.0,
            "terminations": False,
        }
        rows.append(
            row
            | {
                "truncations": step == 128,
                "actions": action if step < 129 else None,
                "infos": variables,
            }
        )
        frame = emulator.step(action)[0]
    emulator.close()
    raw = write_raw(tmp_path / "raw", [rows], spec)
    seen_as = PreprocessConfig(
        height=224, width=240, color="rgb", resize="nearest", val_share=0.2, tile=8
    )
    test = load_unsplit(raw, seen_as, tmp_path)
    screens = Screens(load_reader(spec), test, load_infos(raw), [1, 60])
    at, before = np.array([3, 40]), None
    screens.begin(at)
    for step in range(1, 81):
        real = test.frames[test.index["frame"][at + step]]
        screens.see(step, real, before)
        before = real
    report = screens.report()
    for scores in report["states"].values():
        assert scores.pop("count") == 2
        assert set(scores.values()) <= {1.0, None}
        assert 1.0 in scores.values()
    assert {scores["f1"] for scores in report["events"].values()} == {1.0}
    assert {"lock", "spawn", "shift_left", "shift_right"} <= set(report["events"])
    assert (report["legality"]["illegal"], report["legality"]["until_first"]) == (0, 80)


@pytest.mark.parametrize("horizon", [1, 5, 9])
def test_starts_leave_room_and_spread_over_the_episodes(horizon):
    """A rollout must end within its episode, and every episode that is long enough gives as
    many.
    """
    test = make_split([12, 30, 4, 12])
    starts = choose_starts(test, 6, horizon, seed=0)
    assert len(np.unique(starts)) == len(starts)
    np.testing.assert_array_equal(
        test.index["episode"][starts], test.index["episode"][starts + horizon]
    )
    counts = np.bincount(test.index["episode"][starts], minlength=4)
    long_enough = [0, 1, 2, 3] if horizon == 1 else [0, 1, 3]
    assert counts[long_enough].sum() == 6
    assert np.ptp(counts[long_enough]) <= 1


def test_starts_are_as_many_as_asked_for():
    """rollout_eval.starts is the number of rollouts, also where there are more episodes, or no even
    share.
    """
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
    test = load_unsplit(raw, CONFIG, tmp_path)
    wanted = [
        process_frame(decode_image(row["observations"]["bytes"]), CONFIG)
        for e in read_episodes(raw)
        for row in e
    ]
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
    assert report["changed"]["persistence_l1"] == pytest.approx(
        2 * 4 * 200 / 255 / SIZE**2, abs=1e-6
    )
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


def test_a_button_that_should_do_nothing_is_told_apart():
    """At a wall LEFT does nothing in the game: what it does in the dream there is a false effect,
    and no part of how well the dream obeys.
    """

    class Walled(Emulator):
        def step(self, action):
            return super().step([0] * len(action))

    class Wallless(World):
        def step(self, state, action):
            state = (state + action.sum(1, dtype=int)) % SIZE
            return np.stack([draw(x) for x in state]), state

    report = controllability(Walled(), SPEC, Wallless(perfect=True), CONFIG, count=3, seed=0)
    assert (report["iou"], report["cases"], report["false_effect"]) == (None, 0, 1)
    assert report["by_button"] == report["states"] == {}


def test_each_button_counts_as_much_as_any_other(monkeypatch):
    """RIGHT does something in every state, LEFT in one of them and there nothing in the dream: the
    mean over buttons is a half, over cases it would be more.
    """

    class Once(Emulator):
        asked = 0

        def step(self, action):
            left = SPEC.buttons.index("LEFT")
            if action[left]:
                self.asked += 1
                action = action if self.asked <= HOLD else [0] * len(action)
            return super().step(action)

    class Deaf(World):
        def step(self, state, action):
            action = action.copy()
            action[:, SPEC.buttons.index("LEFT")] = 0
            return super().step(state, action)

    idle = SimpleNamespace(act=lambda *_: set())
    monkeypatch.setattr("dreamcart.evaluation.control.make_policy", lambda *_: idle)
    report = controllability(Once(), SPEC, Deaf(perfect=True), CONFIG, count=4, seed=0)
    assert report["states"] == {"LEFT": 1, "RIGHT": 4}
    assert (report["by_button"]["LEFT"], report["by_button"]["RIGHT"]) == (0, 1)
    assert report["iou"] == 0.5
