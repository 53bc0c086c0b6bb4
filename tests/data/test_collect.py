"""Recording: pictures and variables are kept exactly, and the same whoever recorded them."""

import dataclasses
import importlib.util
import io
import json
import zlib
from itertools import pairwise

import cv2
import numpy as np
import pytest
import yaml
from PIL import Image
from toys.synthetic import assert_sentence, make_frame, make_params, make_spec

from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT
from dreamcart.data.collect import record
from dreamcart.data.images import PngEncoder, WebpEncoder, decode_image, frame_key
from dreamcart.data.infos import infos_json
from dreamcart.data.reader import read_episodes
from dreamcart.games.catalog import load_game
from dreamcart.params import CollectConfig

SIZES = [(24, 32), (210, 160), (9, 5), (8, 1), (1, 7)]


def noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_images_are_lossless_and_sound():
    """Any program that reads PNG sees the recorded pixels, and finds every checksum right."""
    encoder = PngEncoder()
    for frame in [
        frame
        for size in SIZES
        for frame in (noise(*size), make_frame(3, *size), make_frame(4, *size))
    ]:
        content = encoder.encode(frame)
        np.testing.assert_array_equal(decode_image(content), frame)
        np.testing.assert_array_equal(
            cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB), frame
        )
        Image.open(io.BytesIO(content)).verify()
        length = int.from_bytes(content[33:37], "big")
        assert len(zlib.decompress(content[41 : 41 + length])) == frame.shape[0] * (
            1 + 3 * frame.shape[1]
        )


def test_webp_is_lossless_and_half_of_png_where_nothing_comes_again():
    """What three-dimensional games are recorded as: the noise of textures, no strip of which is
    seen twice.
    """
    frame = cv2.GaussianBlur(noise(96, 128), (0, 0), 3)
    content = WebpEncoder().encode(frame)
    assert content[8:16] == b"WEBPVP8L"
    np.testing.assert_array_equal(decode_image(content), frame)
    assert len(content) < len(PngEncoder().encode(frame)) / 2
    default = io.BytesIO()
    Image.fromarray(frame).save(default, "WEBP", lossless=True)
    # half its effort costs hardly any bytes; less effort does
    assert len(content) < 1.02 * len(default.getvalue())


def test_an_image_does_not_depend_on_those_before():
    """Or else a recording would differ with the number of workers."""
    frames = [make_frame(number) for number in range(4)] + [
        noise(24, 32),
        np.zeros((24, 32, 3), np.uint8),
    ]
    encoder = PngEncoder()
    forwards = [encoder.encode(frame) for frame in frames]
    encoder = PngEncoder()
    backwards = [encoder.encode(frame) for frame in reversed(frames)]
    assert forwards == backwards[::-1] == [PngEncoder().encode(frame) for frame in frames]


def test_frames_of_another_shape_are_other_frames():
    """Black pixels are the same bytes in any shape."""
    encoder, shapes = PngEncoder(), [(8, 6, 3), (6, 8, 3), (4, 12, 3)]
    frames = [np.zeros(shape, np.uint8) for shape in shapes]
    assert [decode_image(encoder.encode(frame)).shape for frame in frames] == shapes
    assert len({frame_key(frame) for frame in frames}) == 3


def test_a_view_of_a_larger_frame_is_encoded_as_it_looks():
    """Crops need not be copied first."""
    whole = noise(40, 60)
    np.testing.assert_array_equal(
        decode_image(PngEncoder().encode(whole[3:30, 5:50])), whole[3:30, 5:50]
    )


@pytest.mark.parametrize(
    "infos",
    [
        {},
        {"x": 1, 'odd "name"': -2, "state": "PlayA"},
        {"board": np.arange(4, dtype=np.uint8)},
        {
            "x": 1,
            "board": np.arange(4, dtype=np.uint8),
            "wide": np.array([[-1, 300]], np.int16),
            "y": None,
        },
    ],
)
def test_infos_are_plain_json(infos):
    """Values, names and types as the emulator gave them, arrays as lists."""
    text = infos_json(infos)
    assert json.loads(text) == {
        k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in infos.items()
    }
    assert " " not in text.replace("odd ", "")


def test_infos_follow_an_array_that_changes():
    """Text that is kept must not outlive the values it was made from."""
    board = np.zeros(3, np.uint8)
    assert infos_json({"board": board}) == '{"board":[0,0,0]}'
    board[1] = 7
    assert infos_json({"board": board}) == '{"board":[0,7,0]}'
    assert infos_json({"board": board.astype(np.uint16)}) == '{"board":[0,7,0]}'
    assert infos_json({"board": board.reshape(1, 3)}) == '{"board":[[0,7,0]]}'


def test_variables_are_those_that_stable_retro_names():
    """Arrays are read from memory as a whole; by name, one by one, they must be the same."""
    pytest.importorskip("stable_retro")
    from dreamcart.games.retro import RetroEmulator

    spec = load_game("blockfall")
    emulator = RetroEmulator(spec)
    try:
        assert emulator.blocks
        rng = np.random.default_rng(0)
        emulator.reset("HighA", 1)
        for _ in range(200):
            emulator.step(rng.integers(0, 2, len(spec.buttons)))
            found, named = emulator.variables(), emulator.env.data.lookup_all()
            for name, value in found.items():
                if isinstance(value, np.ndarray):
                    assert value.dtype == np.uint8
                    members = sorted(
                        key for key in named if key.startswith(f"{name}_") and key[-3:].isdigit()
                    )
                    assert value.tolist() == [named.pop(member) for member in members]
                else:
                    assert value == named.pop(name)
            assert not named
            # as for a game whose arrays do not lie in memory as they are
            blocks, emulator.blocks = emulator.blocks, {}
            assert infos_json(emulator.variables()) == infos_json(found)
            emulator.blocks = blocks
    finally:
        emulator.close()


def test_the_random_mode_is_drawn_from_the_seed():
    """One seed, one sequence of pieces; another seed, another one; thirty steps to the second."""
    pytest.importorskip("stable_retro")
    from dreamcart.games.retro import RetroEmulator

    spec = load_game("blockfall_b")
    assert (spec.step_rate, spec.start_states) == (30, ["PlayB"])
    emulator, down = RetroEmulator(spec), np.array(spec.vector({"DOWN"}), np.uint8)

    def pieces(seed: int) -> list[int]:
        emulator.reset("PlayB", seed)
        seen = []
        for _ in range(300):
            emulator.step(down)
            variables = emulator.variables()
            if variables["pieces"] > len(seen):
                seen.append(int(variables["piece_type"]))
        return seen

    try:
        assert len(pieces(1)) > 5
        assert pieces(1) == pieces(1) != pieces(2)
    finally:
        emulator.close()


def test_stable_retros_actions_are_held_buttons_and_back():
    """MultiBinary and Discrete: an action → buttons by name → the same lines to the console, and
    the same screen.
    """
    stable_retro = pytest.importorskip("stable_retro")
    from dreamcart.games.retro import RetroEmulator

    spec = dataclasses.replace(load_game("Airstriker-Genesis-v0"), frame_skip=1)
    emulator = RetroEmulator(spec)
    env = emulator.env  # one a process: both ways of stepping drive the same console
    try:
        emulator.reset("Level1", 0)
        for _ in range(120):
            emulator.step(spec.vector(set()))
        start, screens = emulator.save(), {}

        def end_of(step, action):
            emulator.restore(start)
            for _ in range(30):
                frame = step(action)[0]
            return frame

        for button in [None, *spec.buttons]:
            lines = np.array([name == button for name in env.buttons], np.int8)
            assert env.get_action_meaning(lines) == ([button] if button else [])
            seen = end_of(env.step, lines)
            np.testing.assert_array_equal(
                end_of(emulator.step, spec.vector({button} - {None})), seen
            )
            screens[button] = seen.tobytes()
        assert len({screens[button] for button in (None, "LEFT", "RIGHT", "START")}) == 4

        env.use_restricted_actions = stable_retro.Actions.DISCRETE
        many = np.prod([len(combo) for combo in env.button_combos])
        for number in range(0, int(many), 7):
            held = set(env.get_action_meaning(number))
            np.testing.assert_array_equal(
                emulator.lines(spec.vector(held)), env.action_to_array(number)[0]
            )
    finally:
        emulator.close()


def test_a_game_that_restarts_begins_anew_after_its_end():
    """A novice's game of Airstriker is over in half a minute; an episode goes on, from the start
    state.
    """
    pytest.importorskip("stable_retro")
    from dreamcart.games.retro import RetroEmulator

    spec = load_game("Airstriker-Genesis-v0")
    emulator = RetroEmulator(spec)
    try:
        begin = emulator.reset("Level1", 0)
        lives = []
        for step in range(1500):
            frame, _, ended, _ = emulator.step(spec.vector({"LEFT"} if step % 40 < 5 else set()))
            lives.append(emulator.variables()["lives"])
            assert not ended
            if len(lives) > 1 and lives[-1] > lives[-2]:
                break
        assert lives[-2:] == [0, 3]
        assert frame.shape == begin.shape
    finally:
        emulator.close()


def test_a_recording_is_the_same_with_any_number_of_workers(tmp_path):
    """Byte by byte, report included."""
    pytest.importorskip("stable_retro")
    spec, reports, files = load_game("blockfall"), [], []
    for workers in (1, 2):
        config = CollectConfig(
            source="emulator",
            revision="",
            frames=240,
            episode_steps=40,
            test_episodes=1,
            test_steps=40,
            workers=workers,
        )
        folder = tmp_path / str(workers)
        reports.append(record(spec, config, 0, folder / "play", folder / "test"))
        files.append(
            {
                path.relative_to(folder): path.read_bytes()
                for path in folder.rglob("*")
                if path.is_file()
            }
        )
    assert reports[0] == reports[1]
    assert files[0] == files[1]
    assert len(files[0]) == 6
    check_coverage(reports[0], {name: tmp_path / "1" / name for name in ("play", "test")}, spec)


def check_coverage(report, folders, spec):
    """The report is what the rows say, counted anew."""
    seeds = {}
    for name, folder in folders.items():
        episodes = list(read_episodes(folder, None))
        steps = [(row, after) for rows in episodes for row, after in pairwise(rows)]
        told = report[name]
        assert (told["episodes"], told["frames"]) == (len(episodes), len(steps))
        actions = np.array([row["actions"] for row, _ in steps])
        assert told["held"] == {
            b: round(float(actions[:, n].mean()), 4) for n, b in enumerate(spec.buttons)
        }
        assert max(told["held"].values()) > 0
        frames = [
            (
                row["observations"]["bytes"]
                if isinstance(row["observations"], dict)
                else row["observations"]
            )
            for rows in episodes
            for row in rows
        ]
        assert told["distinct_frames"] == len({bytes(frame) for frame in frames})
        seen = np.stack([decode_image(frame) for frame in {bytes(frame) for frame in frames}])
        share = (seen != seen[0]).any((0, 3)).mean()
        assert told["changed_share"] == round(float(share), 4)
        assert told["ended"] == sum(row["terminations"] for row, _ in steps)
        infos = [[json.loads(row["infos"] or "{}") for row in rows] for rows in episodes]
        for event, variable in spec.events.items():
            rises = sum(
                max(0, b.get(variable, 0) - a.get(variable, 0))
                for rows in infos
                for a, b in pairwise(rows)
            )
            assert told["events"][event] == rises, event
        seeds[name] = {rows[0]["seed"] for rows in episodes}
    assert not seeds["play"] & seeds["test"]


def test_only_rollout_eval_opens_the_test_episodes():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert [
        name
        for name, stage in stages.items()
        if any("raw_test" in str(dep) for dep in stage.get("deps", []))
    ] == ["rollout_eval"]


# Blockfall's bot


@pytest.fixture(scope="module")
def bot():
    """games/blockfall/bot.py as a module."""
    description = importlib.util.spec_from_file_location(
        "blockfall_bot", ROOT / "games" / "blockfall" / "bot.py"
    )
    module = importlib.util.module_from_spec(description)
    description.loader.exec_module(module)
    return module


def boards(count: int) -> np.ndarray:
    """bool [count, 20, 10]: random cells, denser to the bottom, with full rows among them."""
    rng = np.random.default_rng(0)
    density = rng.uniform(0, 0.8, count)[:, None, None] * np.linspace(0, 1, 20)[:, None]
    made = rng.random((count, 20, 10)) < density
    made[rng.random((count, 20)) < 0.1] = True
    return made


def test_the_bot_drops_a_piece_until_something_is_below(bot):
    """Bits of one number say the same as cells of a board."""
    cells = [cells for turns in bot.make_bot().cells for cells in turns]
    for board in boards(20):
        bits = bot.as_bits(board)
        for piece in cells:
            for x in range(-2, 10):

                def fits(y, board=board, piece=piece, x=x):
                    places = [(y + dy, x + dx) for dx, dy in piece]
                    return all(
                        0 <= row < 20 and 0 <= column < 10 and not board[row, column]
                        for row, column in places
                    )

                for y in (-1, 0, 3):
                    rest = (
                        next((row for row in range(y, 20) if not fits(row + 1)), None)
                        if fits(y)
                        else None
                    )
                    assert bot.drop(bits, piece, x, y) == rest


def test_the_bot_rates_boards_one_by_one(bot):
    """A board's rating does not depend on those beside it, and is what its definition says."""
    many = boards(30)
    for board, rating in zip(many, bot.rate(many), strict=True):
        full = board.all(axis=1)
        left = np.vstack([np.zeros((full.sum(), 10), bool), board[~full]])
        heights = [20 - int(column.argmax()) if column.any() else 0 for column in left.T]
        holes = sum(
            height - int(column.sum()) for height, column in zip(heights, left.T, strict=True)
        )
        bumps = sum(abs(a - b) for a, b in pairwise(heights))
        assert rating == pytest.approx(
            0.76 * full.sum() - 0.51 * sum(heights) - 0.9 * holes - 0.18 * bumps
        )


def test_tiles_of_a_game_in_three_dimensions_are_refused_before_it_is_recorded(monkeypatch):
    """It would be found out by preprocessing, after twenty minutes and half a gigabyte."""
    from stages import collect as stage

    params = make_params(representation__kind="tiles", preprocess__tile=8)
    monkeypatch.setattr(stage, "load_params", lambda: params)
    monkeypatch.setattr(stage, "load_game", lambda name: make_spec(images="webp"))
    with pytest.raises(UserError, match="tile=0") as caught:
        stage.main()
    assert_sentence(caught.value)
