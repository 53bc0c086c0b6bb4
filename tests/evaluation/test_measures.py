"""What a representation keeps of the game: each measure against frames and latents of which the
answer is known.
"""

import json

import numpy as np
import pytest
import torch
from toys.synthetic import assert_sentence, make_params, make_processed, make_rows

from dreamcart.core.errors import UserError
from dreamcart.data.variables import LEAST, ask, load_variables
from dreamcart.evaluation.digits import learn_digits, legibility, read_digits
from dreamcart.evaluation.fidelity import LOST, Fidelity, bleeding, gradient_energy, hue_error
from dreamcart.evaluation.probe import alikeness, linear_probe, neighbourhood
from dreamcart.evaluation.representation import code_use, measure_representation
from dreamcart.params import PreprocessConfig
from dreamcart.representation.train import train_representation

RNG = np.random.default_rng(0)

# RAM variables


def test_questions_are_values_or_digits():
    """Few values are asked for as they are, many digit by digit, and what hardly ever differs not
    at all.
    """
    table = {
        "next": np.arange(80)[:, None] % 7,
        "score": 5 * np.arange(80)[:, None],
        "still": np.zeros((80, 1), np.int64),
        "rare": (np.arange(80) < LEAST - 1)[:, None].astype(np.int64),
        "board": np.stack([np.arange(80) % 2, np.zeros(80, np.int64)], 1),
    }
    questions = {(q.variable, q.entry, q.power): q for q in ask(table)}
    assert set(questions) == {
        ("next", 0, None),
        ("score", 0, 0),
        ("score", 0, 1),
        ("score", 0, 2),
        ("board", 0, None),
    }
    tens = questions["score", 0, 1]
    assert tens.values[tens.answers(table)].tolist() == [5 * n // 10 % 10 for n in range(80)]
    assert questions["next", 0, None].answers({"next": np.array([[3], [9]])}).tolist() == [3, -1]


def test_variables_are_those_of_the_frames(tmp_path):
    """Each distinct frame gets the RAM of a record that shows it, in either split."""
    splits = make_processed(tmp_path, [make_rows(n, 14, first=3 * n) for n in range(4)])
    for split in splits.values():
        rows = np.arange(len(split.frames))[::-1]
        table = load_variables(tmp_path / "raw", split, rows)
        assert set(table) == {"x", "board"}  # start_state is no number, and not everywhere
        first = [np.flatnonzero(split.index["frame"] == row)[0] for row in rows]
        np.testing.assert_array_equal(table["x"][:, 0], split.index["step"][first])
        np.testing.assert_array_equal(table["board"][:, 1], split.index["step"][first])
    with pytest.raises(UserError) as caught:
        load_variables(tmp_path / "nowhere", splits["val"], np.arange(2))
    assert_sentence(caught.value)


def test_recordings_without_ram_have_no_variables(tmp_path):
    """A foreign dataset says nothing of its game's RAM, and that is no mistake."""
    rows = [make_rows(n, 14, first=3 * n) for n in range(4)]
    for row in (row for episode in rows for row in episode):
        row["infos"] = {}
    splits = make_processed(tmp_path, rows)
    assert load_variables(tmp_path / "raw", splits["val"], np.arange(3)) == {}
    assert ask({}) == []


# Pictures


def test_sharpness_is_one_for_the_frames_themselves_and_falls_with_blur():
    """The ratio of gradient energies; a still background must be able to hide blur in one of the
    two numbers only.
    """
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    frames[:, ::2, :8] = 255  # the background has lines
    median = frames[0].copy()
    frames[:, 4:8, 10:14] = 255
    blurred = frames.copy()
    blurred[:, 3:9, 9:15] = 100
    for decoded, sharp in ((frames, True), (blurred, False)):
        fidelity = Fidelity(median)
        fidelity.see(frames[:2], decoded[:2])
        fidelity.see(frames[2:], decoded[2:])
        report = fidelity.report()
        assert (report["sharpness"] == 1) == sharp
        assert (report["sharpness_changed"] == 1) == sharp
    assert report["sharpness_changed"] < 0.3 < 0.9 < report["sharpness"] < 1


def test_gradient_energy_by_hand():
    """One white pixel: two edges in its own place, one at its left and one above it."""
    frames = np.zeros((1, 3, 3, 1), np.uint8)
    frames[0, 1, 1] = 255
    assert gradient_energy(frames)[0].tolist() == [[0, 1, 0], [1, 2, 0], [0, 0, 0]]


def test_hue_error_is_the_angle_between_hues():
    """Red to green is 120 degrees, red to cyan 180, brightness does not count; grey in is nothing,
    grey out is lost.
    """
    red, green, cyan, dark, grey = (
        (255, 0, 0),
        (0, 255, 0),
        (0, 255, 255),
        (120, 0, 0),
        (90, 90, 90),
    )
    true = np.array([[[red, red, red, red, grey]]], np.uint8)
    decoded = np.array([[[green, cyan, dark, grey, red]]], np.uint8)
    np.testing.assert_allclose(
        hue_error(true, decoded)[0, 0], [120, 180, 0, LOST, np.nan], atol=0.01
    )


def test_bleeding_is_colour_beside_its_place():
    """A red block smeared into black bleeds, however right its own hue; grey smear, brightness and
    far colour do not.
    """
    true = np.zeros((1, 12, 12, 3), np.uint8)
    true[:, 4:8, 4:8, 0] = 255
    smeared, grey, far = true.copy(), true.copy(), true.copy()
    smeared[:, 2:10, 2:10, 0] = np.maximum(smeared[:, 2:10, 2:10, 0], 51)
    grey[:, 2:10, 2:10] = np.maximum(grey[:, 2:10, 2:10], 51)
    far[:, 0, 0, 0] = 255
    grey[:, 4:8, 4:8] = true[:, 4:8, 4:8]
    everywhere = np.ones((1, 12, 12), bool)
    assert np.isfinite(bleeding(true, smeared, everywhere)).sum() == 64 - 16
    for decoded, wanted in ((smeared, 0.2), (grey, 0.0), (far, 0.0), (true, 0.0)):
        assert np.nanmean(bleeding(true, decoded, everywhere)) == pytest.approx(wanted)
    fidelity = Fidelity(np.zeros((12, 12, 3), np.uint8))
    fidelity.see(true, smeared)
    report = fidelity.report()
    assert report["hue_error"] == 0
    assert report["bleeding"] == report["bleeding_changed"] == pytest.approx(0.2)


def test_grey_frames_have_no_hue():
    """No key is better than a number that means nothing."""
    frames = RNG.integers(0, 256, (3, 8, 8, 1), np.uint8)
    fidelity = Fidelity(frames[0])
    fidelity.see(frames, frames)
    assert set(fidelity.report()) == {"sharpness", "sharpness_changed"}


# Digits

FONT = RNG.integers(0, 2, (10, 5, 4), np.uint8) * 255


def score_screen(score: int) -> np.ndarray:
    """uint8 [16, 24, 1]: three digits, and noise below them."""
    frame = np.zeros((16, 24, 1), np.uint8)
    for place in range(3):
        frame[2:7, 4 + 5 * place : 8 + 5 * place, 0] = FONT[score // 10 ** (2 - place) % 10]
    frame[10:, :, 0] = RNG.integers(0, 256, (6, 24))
    return frame


def test_digits_are_read_from_real_frames_and_not_from_their_mean():
    """The reader finds where digits stand; a decoder that always shows the mean picture scores as
    guessing does.
    """
    scores = RNG.integers(0, 300, 1600)
    frames = np.stack([score_screen(score) for score in scores])
    table = {"score": scores[:, None], "lines": np.zeros((1600, 1), np.int64)}
    slots = learn_digits(
        frames, np.arange(1200), {name: column[:1200] for name, column in table.items()}
    )
    assert [slot.question.power for slot in slots] == [0, 1, 2]
    for slot in slots:  # nothing is read from the noise below, nor from another digit
        y, x = np.divmod(slot.at, 24)
        left = 4 + 5 * (2 - slot.question.power)
        assert (y >= 2).all()
        assert (y < 7).all()
        assert (x >= left).all()
        assert (x < left + 4).all()
    held_out = {"score": scores[1200:, None]}
    read = read_digits(slots, frames[1200:])
    assert legibility(slots, held_out, read) == 1
    values = [slot.question.values for slot in slots]
    told = sum(v[r] * 10**n for n, (v, r) in enumerate(zip(values, read.T, strict=True)))
    np.testing.assert_array_equal(told, scores[1200:])
    mean = np.broadcast_to(frames[:1200].mean(0).astype(np.uint8), frames[1200:].shape)
    assert legibility(slots, held_out, read_digits(slots, mean)) == pytest.approx(
        (0.1 + 0.1 + 1 / 3) / 3
    )


def test_a_game_without_numbers_has_no_legibility():
    """Absent, not zero."""
    assert (
        learn_digits(
            np.zeros((20, 8, 8, 1), np.uint8), np.arange(20), {"x": np.arange(20)[:, None]}
        )
        == []
    )
    assert legibility([], {}, np.zeros((20, 0), np.int64)) is None


# Latents


def states(count: int) -> dict[str, np.ndarray]:
    return {"a": RNG.integers(0, 4, (count, 1)), "b": RNG.integers(0, 3, (count, 2))}


def tokens_of(table: dict[str, np.ndarray]) -> np.ndarray:
    """int16 [N, 2, 3]: cells that hold the state, and some that hold nothing of it."""
    noise = RNG.integers(0, 50, (len(table["a"]), 3))
    return np.concatenate([table["a"], 7 - table["b"], noise], 1).astype(np.int16).reshape(-1, 2, 3)


def reals_of(table: dict[str, np.ndarray]) -> np.ndarray:
    """float32 [N, 9]: the state one-hot, turned about."""
    plain = np.concatenate([np.eye(4)[table["a"][:, 0]], np.eye(3)[table["b"][:, 0]]], 1)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(7, 7)))[0]
    return np.concatenate([plain @ turn, RNG.normal(size=(len(plain), 2))], 1).astype(np.float32)


def test_alikeness_of_tokens_is_that_of_their_one_hot_vectors():
    """The probe's short cut is the product it stands for."""
    left, right = RNG.integers(0, 5, (2, 6, 3, 4)).astype(np.int16)
    wide = [np.eye(5, dtype=np.float32)[x.reshape(6, -1)].reshape(6, -1) for x in (left, right)]
    torch.testing.assert_close(alikeness(left, right), torch.from_numpy(wide[0] @ wide[1].T / 12))


@pytest.mark.parametrize("latents_of", [tokens_of, reals_of])
def test_the_probe_tells_what_is_there_and_not_what_is_not(latents_of):
    """Latents that hold a variable give it away, for new states too; others leave it at the
    commonest answer.
    """
    train, val = states(600), states(300)
    told = latents_of(train), latents_of(val)
    for table in (train, val):
        table["c"] = RNG.integers(0, 2, (len(table["a"]), 1))  # in no latent
    scores = linear_probe(ask(train), (told[0], train), (told[1], val))
    assert scores["a"]["accuracy"] == 1
    assert scores["a"]["majority"] < 0.5
    assert scores["b"]["accuracy"] > (0.99 if latents_of is tokens_of else 0.6)
    assert abs(scores["c"]["accuracy"] - 0.5) < 0.12


@pytest.mark.parametrize("latents_of", [tokens_of, reals_of])
def test_alike_states_have_nearer_latents_where_latents_follow_the_state(latents_of):
    """The ratio is near one where latents are arbitrary, and well below where they tell of the
    state.
    """
    table = states(300)
    good, arbitrary = latents_of(table), latents_of(states(300))
    questions = ask(table)
    told, random = neighbourhood(questions, good, table), neighbourhood(questions, arbitrary, table)
    assert told["ratio"] < 0.75
    assert random["ratio"] == pytest.approx(1, abs=0.1)
    assert told["near"] == pytest.approx(told["far"] * told["ratio"], rel=1e-4)


def test_neighbourhood_by_hand():
    """Three states: the two that agree share a token more than the others do."""
    table = {"a": np.repeat([[0], [0], [1]], LEAST, 0)}
    tokens = np.repeat(np.array([[0, 0], [0, 0], [5, 0]], np.int16), LEAST, 0)
    found = neighbourhood(ask(table), tokens, table)
    others = 2 * 2 * LEAST * LEAST * 0.5 / (3 * LEAST * (3 * LEAST - 1))
    assert found == {"near": 0.0, "far": round(others, 6), "ratio": 0.0}


def test_code_use_by_hand():
    """Two of four codes, equally often: half used, as much as two codes carry."""
    assert code_use(np.array([[[0, 2]], [[2, 0]]]), 4) == {
        "codes_used": 0.5,
        "perplexity": pytest.approx(2),
    }
    assert code_use(np.arange(8), 8)["perplexity"] == pytest.approx(8)


# All together


@pytest.mark.parametrize(("kind", "color"), [("ae", "rgb"), ("vq", "rgb"), ("fsq", "gray")])
def test_every_measure_is_in_the_report(tmp_path, kind, color):
    """What applies is there, in plain JSON, what does not is absent; measuring twice gives the same
    numbers.
    """
    seen_as = PreprocessConfig(
        height=16, width=16, color=color, resize="area", val_share=0.3, tile=0
    )
    episodes = [make_rows(n, 30, first=3 * n) for n in range(8)]
    for row in (row for rows in episodes for row in rows):
        # where the block is: its upper or lower half
        row["infos"]["low"] = int(row["observations"][12:].max() > 100)
    splits = make_processed(tmp_path, episodes, seen_as)
    median = np.load(tmp_path / "processed" / "median.npy")
    small = {
        "channels": [4, 8],
        "codes": 12,
        "code_size": 4,
        "levels": [4, 3],
        "steps": 10,
        "batch_size": 8,
    }
    params = make_params(
        representation__kind=kind,
        **{f"representation__{name}": value for name, value in small.items()},
    )
    model, config, _ = train_representation(
        params, splits["train"], splits["val"], median, tmp_path / "checkpoint"
    )
    report = measure_representation(
        model, config, splits["train"], splits["val"], median, tmp_path / "raw"
    )
    wanted = {
        "sharpness",
        "sharpness_changed",
        "probe",
        "probe_accuracy",
        "probe_majority",
        "neighbours",
    }
    wanted |= (
        {"hue_error", "hue_error_changed", "bleeding", "bleeding_changed"}
        if color == "rgb"
        else set()
    )
    wanted |= {"codes_used", "perplexity"} if kind != "ae" else set()
    assert set(report) == wanted
    assert set(report["probe"]) == {"low"}
    json.dumps(report, allow_nan=False)
    assert set(report["neighbours"]) == {"near", "far", "ratio", "untrained"}
    assert (
        measure_representation(
            model, config, splits["train"], splits["val"], median, tmp_path / "raw"
        )
        == report
    )


@pytest.mark.parametrize(("kind", "network"), [("ae", "vgg16"), ("vq", "own_buttons")])
def test_the_stage_writes_what_it_measured(tmp_path, monkeypatch, capsys, kind, network):
    """train_ae's report holds the pixel errors, the measures and the network that the perceptual
    term looked through: VGG16 where its weights are here. Its metrics hold the few that runs are
    compared by."""
    from dreamcart.core import pretrained
    from dreamcart.representation import perceptual
    from stages import train_ae as stage

    monkeypatch.setattr(perceptual, "STEPS", 8)
    if network != "vgg16":
        monkeypatch.setattr(pretrained, "HOME", tmp_path / "nowhere")
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    make_processed(
        tmp_path / "data" / "blockfall", [make_rows(n, 30, first=3 * n) for n in range(8)]
    )
    small = {
        "channels": [4, 8],
        "codes": 12,
        "code_size": 4,
        "steps": 10,
        "batch_size": 8,
        "perceptual_weight": 0.1,
    }
    params = make_params(
        representation__kind=kind,
        **{f"representation__{name}": value for name, value in small.items()},
    )
    monkeypatch.setattr(stage, "load_params", lambda: params)
    monkeypatch.setattr("dreamcart.core.paths.ROOT", tmp_path)
    stage.main()
    metrics = tmp_path / "metrics" / "blockfall"
    report, headline = (
        json.loads((metrics / f"train_ae{part}.json").read_text()) for part in ("_details", "")
    )
    codes = {"codes_used", "perplexity"} if kind == "vq" else set()
    assert {"l1", "ssim", "exact", "sharpness"} | codes <= set(report)
    assert report["perceptual"] == network
    assert set(headline) == {"exact", "l1", "l1_changed", "ssim"}
    assert headline.items() <= report.items()
    said = capsys.readouterr().out
    assert ("latent_dim does not apply" in said) == (kind == "vq")
    assert network in said
    assert (tmp_path / "models" / "blockfall" / "perceptual.safetensors").is_file() == (
        network != "vgg16"
    )
    assert list((tmp_path / "checkpoints").rglob("*.safetensors")) == []
