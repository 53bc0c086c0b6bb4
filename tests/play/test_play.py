"""Play: action lists, the loop, the window, and the dream without a display."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from toys.synthetic import (
    GOLDEN,
    assert_sentence,
    copy_checkout,
    make_random_world,
    make_spec,
    make_world_of_cells,
)

from dreamcart.core.errors import UserError, run_stage
from dreamcart.games.action_lists import parse_actions
from dreamcart.games.catalog import load_game
from dreamcart.play.loop import Input, Script, run
from dreamcart.play.sources import Dream, Real, SideBySide
from dreamcart.play.window import MARGIN, OWN_KEYS, Window
from dreamcart.world.model import load_world

SPEC = make_spec()
WORLD_V1 = GOLDEN / "world_v1"
CPU = torch.device("cpu")

# Action lists


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("", []),
        ("A", [{"A"}]),
        ("LEFT*3 .", [{"LEFT"}] * 3 + [set()]),
        ("LEFT+A*2, .*2\nstart", [{"LEFT", "A"}] * 2 + [set()] * 2 + [{"START"}]),
        ("A # jump\n# all of this is a comment B*9\nB", [{"A"}, {"B"}]),
        ("A*0 B", [{"B"}]),
    ],
)
def test_actions_are_read(text, steps):
    """`+` presses together, `*n` repeats, `.` is nothing, `#` begins a comment."""
    assert parse_actions(text, SPEC) == steps


def test_actions_are_read_from_a_file(tmp_path):
    """A file's name stands for its text."""
    (tmp_path / "moves.txt").write_text("LEFT*2 # to the wall\nA\n")
    assert parse_actions(str(tmp_path / "moves.txt"), SPEC) == [{"LEFT"}, {"LEFT"}, {"A"}]


@pytest.mark.parametrize(
    ("text", "named"),
    [("JUMP", "JUMP"), ("A+FLY", "FLY"), ("LEFT*x", "LEFT*x"), ("*5", "*5"), ("A++B", "A++B")],
)
def test_unreadable_actions_are_named(text, named):
    """The sentence shows the item that cannot be read and what there is instead."""
    with pytest.raises(UserError) as caught:
        parse_actions(f"A {text} B", SPEC)
    assert_sentence(caught.value)
    assert named in str(caught.value)


def test_a_file_of_something_else_is_refused(tmp_path):
    """A picture given for a list of actions is a person's mistake."""
    (tmp_path / "moves.bin").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(UserError, match=r"moves\.bin"):
        parse_actions(str(tmp_path / "moves.bin"), SPEC)


# The loop


class Counter:
    """A source whose picture is as bright as the steps since its start."""

    def __init__(self) -> None:
        self.spec, self.pressed, self.resets, self.temperature = SPEC, [], 0, None

    def reset(self) -> np.ndarray:
        self.count, self.resets = 0, self.resets + 1
        return self._picture()

    def step(self, pressed: set[str]) -> np.ndarray:
        self.count += 1
        self.pressed.append(pressed)
        return self._picture()

    def _picture(self) -> np.ndarray:
        return np.full((4, 4, 3), self.count, np.uint8)


class Player:
    """Gives prepared inputs, then quits, and remembers what it was shown."""

    def __init__(self, *turns: Input) -> None:
        self.turns, self.shown, self.messages, self.paused = iter(turns), [], [], []

    def read(self) -> Input:
        return next(self.turns, Input(quit=True))

    def show(self, frame: np.ndarray, paused: bool, message: str) -> None:
        self.shown.append(int(frame[0, 0, 0]))
        self.paused.append(paused)
        self.messages.append(message)


def test_the_loop_presses_shows_and_quits():
    """Every turn's buttons reach the source once, and its picture the player."""
    source, player = Counter(), Player(Input({"LEFT"}), Input(), Input({"A", "B"}))
    report = run(source, player)
    assert source.pressed == [{"LEFT"}, set(), {"A", "B"}]
    assert player.shown == [1, 2, 3]
    assert (report.steps, len(report.seconds)) == (3, 3)
    assert report.sentence().startswith("3 steps; ")


def test_quitting_at_once_is_no_error():
    """Nobody has to play a step."""
    assert run(Counter(), Player()).sentence() == "No steps were played."


def test_pause_stops_the_game_and_not_the_window():
    """While paused nothing is stepped, but the picture is still drawn; P again goes on."""
    player = Player(Input(), Input(pause=True), Input({"A"}), Input(pause=True), Input())
    run(Counter(), player)
    assert player.shown == [1, 1, 1, 2, 3]
    assert player.paused == [False, True, True, False, False]


def test_the_menu_ends_play():
    """M leaves the game, and the report says that another one is to be chosen."""
    report = run(Counter(), Player(Input(), Input(menu=True), Input()))
    assert (report.steps, report.menu) == (1, True)
    assert not run(Counter(), Player(Input())).menu


def test_restart_returns_to_the_start_screen():
    """R shows the start screen itself first, and play goes on from there."""
    source, player = Counter(), Player(Input(), Input(), Input(restart=True), Input())
    run(source, player)
    assert player.shown == [1, 2, 0, 1]
    assert source.resets == 2


def test_gif_of_the_last_ten_seconds(tmp_path):
    """At ten steps a second G saves the last hundred pictures, at the speed of play."""
    player = Player(*[Input()] * 130, Input(save_gif=True, pause=True))
    run(Counter(), player, clips=tmp_path)
    (path,) = tmp_path.glob("*.gif")
    assert path.name in player.messages[-1]
    with Image.open(path) as gif:
        assert gif.n_frames == 100
        assert gif.info["duration"] == 100
        assert gif.convert("RGB").getpixel((0, 0)) == (31, 31, 31)
        gif.seek(99)
        assert gif.convert("RGB").getpixel((0, 0)) == (130, 130, 130)


def test_gif_before_the_first_step_is_no_error(tmp_path):
    """There is nothing to save yet."""
    run(Counter(), Player(Input(save_gif=True, pause=True)), clips=tmp_path)
    assert not list(tmp_path.iterdir())


def test_gif_of_everything_played(tmp_path):
    """--gif keeps the whole play, and makes the folder for it."""
    run(Counter(), Script([{"A"}] * 12, 12), gif=tmp_path / "new" / "dream.gif")
    with Image.open(tmp_path / "new" / "dream.gif") as gif:
        assert gif.n_frames == 12


def test_a_gif_under_another_name_is_no_crash(tmp_path):
    """What was played must not be lost over a missing `.gif`: save it, or say so in a sentence
    before playing.
    """
    try:
        run(Counter(), Script([{"A"}] * 2, 2), gif=tmp_path / "dream")
    except UserError as problem:
        assert_sentence(problem)
    else:
        with Image.open(tmp_path / "dream") as saved:
            assert saved.format == "GIF"


# The dream as a source


def test_a_game_of_chance_is_drawn_unless_told_otherwise(tmp_path):
    """Pieces come at random in the dream as in the game; a seed makes a play repeatable, and
    temperature 0 the likeliest.
    """
    world = load_world(make_world_of_cells(tmp_path, make_spec(seed_variable="rng")), CPU)

    def play_some(**options) -> list[np.ndarray]:
        dream = Dream(world, None, **options)
        return [dream.reset(), *(dream.step({"A"}) for _ in range(4))]

    np.testing.assert_array_equal(play_some(seed=1), play_some(seed=1))
    assert any(
        (one != other).any()
        for one, other in zip(play_some(seed=1), play_some(seed=2), strict=True)
    )
    np.testing.assert_array_equal(
        play_some(seed=1, temperature=0.0), play_some(seed=2, temperature=0.0)
    )
    assert Dream(load_world(WORLD_V1, CPU), None).temperature is None


def test_the_game_stands_beside_a_dream_that_it_does_not_correct(tmp_path):
    """--real and --side-by-side: the emulator as the model sees it, and the very frames that the
    dream has alone.
    """
    pytest.importorskip("stable_retro")
    world = load_world(make_world_of_cells(tmp_path, load_game("blockfall")), CPU)
    alone, game = Dream(world, None, 0.0), Real(world.spec, None, 0, world.seen_as)
    dreamed = [alone.reset(), *(alone.step({"LEFT"} if n % 3 else set()) for n in range(12))]
    played = [game.reset(), *(game.step({"LEFT"} if n % 3 else set()) for n in range(12))]
    game.emulator.close()
    both = SideBySide(Real(world.spec, None, 0, world.seen_as), Dream(world, None, 0.0))
    shown = [both.reset(), *(both.step({"LEFT"} if n % 3 else set()) for n in range(12))]
    both.real.emulator.close()
    width = dreamed[0].shape[1]
    np.testing.assert_array_equal([frame[:, :width] for frame in shown], played)
    np.testing.assert_array_equal([frame[:, width + 2 : 2 * width + 2] for frame in shown], dreamed)
    assert any((frame != played[0]).any() for frame in played)


@pytest.fixture(scope="module", params=["cells", "transformer", "gaussian", "flow"])
def chance(request, tmp_path_factory):
    """An untrained dream of each family that can draw."""
    return load_world(make_random_world(tmp_path_factory.mktemp(request.param), request.param), CPU)


def play_on(world, steps: int, **options) -> np.ndarray:
    """uint8 [steps, H, W, 3] of a dream played with ever changing buttons."""
    dream = Dream(world, None, **options)
    dream.reset()
    names = world.spec.buttons
    return np.stack([dream.step({names[step % 7], names[step // 3 % 8]}) for step in range(steps)])


def test_temperature_zero_replays_identically(chance):
    """A thousand steps, played twice with other seeds: the same buttons, the same frames."""
    np.testing.assert_array_equal(
        *(play_on(chance, 1000, temperature=0.0, seed=seed) for seed in (1, 2))
    )


def test_temperature_one_gives_different_futures(chance):
    """Another seed is another future, and the same one the same."""
    first, again, other = (play_on(chance, 30, temperature=1.0, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_temperature_changes_while_playing(chance):
    """[ and ] go by tenths from 0 to 2, what they set is shown, and from then on it is what the
    dream draws by.
    """
    dream = Dream(chance, None, temperature=0.0, seed=1)
    player = Player(
        Input(),
        Input(warmer=1),
        Input(warmer=4),
        Input(warmer=-9),
        Input(warmer=99),
        Input(restart=True),
    )
    run(dream, player)
    shown = [message.split("   ")[0] for message in player.messages]
    assert shown == [f"temperature {value:.1f}" for value in (0, 0.1, 0.5, 0, 2, 2)]
    assert player.messages[-1] == "temperature 2.0   restarted"
    assert dream.temperature == 2.0
    warm = [Dream(chance, None, temperature=0.0, seed=seed) for seed in (1, 2)]
    frames = []
    for dream in warm:
        dream.reset()
        dream.warm(10)
        frames.append(np.stack([dream.step({"A"}) for _ in range(30)]))
    assert (frames[0] != frames[1]).any()


def test_a_dream_of_one_future_has_no_temperature():
    """Neither by option nor by key: a sentence says why, with what would have one; 0 is what it
    does anyway.
    """
    world = load_world(WORLD_V1, CPU)
    with pytest.raises(UserError, match=r"mlp.*gaussian.*flow") as caught:
        Dream(world, None, temperature=0.5)
    assert_sentence(caught.value)
    dream = Dream(world, None, temperature=0.0)
    player = Player(Input(warmer=1))
    run(dream, player)
    assert dream.temperature is None
    assert player.messages == ["this dream knows one future only: no temperature"]


@pytest.mark.parametrize("temperature", [-0.1, 2.5, float("nan")])
def test_a_temperature_that_is_none_is_refused(chance, temperature):
    """Below zero, far too warm, not a number."""
    with pytest.raises(UserError, match="0 to 2") as caught:
        Dream(chance, None, temperature=temperature)
    assert_sentence(caught.value)


def test_the_dream_restarts_the_same():
    """After a restart the same buttons dream the same pictures: no history of the first play is
    left.
    """
    dream = Dream(load_world(WORLD_V1, CPU), None)
    plays = [[dream.reset(), *(dream.step({"LEFT", "A"}) for _ in range(4))] for _ in range(2)]
    np.testing.assert_array_equal(plays[0], plays[1])
    assert (plays[0][0].shape, plays[0][0].dtype) == ((16, 16, 3), np.uint8)
    np.testing.assert_array_equal(plays[0][0][:, :, :1], dream.world.starts["Begin"])


def test_an_unknown_start_is_named():
    """A start state that the model does not have cannot be dreamt from."""
    with pytest.raises(UserError, match=r"'Nowhere'.*Begin") as caught:
        Dream(load_world(WORLD_V1, CPU), "Nowhere")
    assert_sentence(caught.value)


def test_side_by_side_shows_both_and_where_they_differ():
    """Real | dream | overlay: yellow where both are bright, green where only the game, red where
    only the dream.
    """
    real, dream = np.zeros((2, 3, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)
    real[0, :2], dream[0, 1:] = 255, 255
    panels = SideBySide._panels(real, dream)
    np.testing.assert_array_equal(panels[:, :3], real)
    np.testing.assert_array_equal(panels[:, 5:8], dream)
    assert panels[0, 10:13].tolist() == [[0, 255, 0], [255, 255, 0], [255, 0, 0]]


# The window

pygame = pytest.importorskip("pygame")


class Keyboard:
    """What pygame.key.get_pressed gives: is this key down?"""

    def __init__(self, *keys: int) -> None:
        self.down = set(keys)

    def __getitem__(self, key: int) -> bool:
        return key in self.down


@pytest.fixture(autouse=True)
def no_own_keys(tmp_path, monkeypatch):
    """The person who runs the tests may have a keys.yaml."""
    monkeypatch.setattr("dreamcart.play.bindings.FILE", tmp_path / "keys.yaml")


@pytest.fixture
def hold(monkeypatch):
    """hold(key, …): from now on these keys are down."""
    return lambda *keys: monkeypatch.setattr(pygame.key, "get_pressed", lambda: Keyboard(*keys))


@pytest.fixture
def window(hold):
    opened = Window(SPEC, 16, 16, "Toy", scale=10)
    hold()
    yield opened
    opened.close()


def post(*keys: int) -> None:
    for key in keys:
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=key))


def test_a_held_key_is_its_button_in_the_source(window, hold):
    """LEFT held down reaches the source as LEFT in every step until it is let go; a free key does
    nothing.
    """
    source = Counter()
    turns = iter([(pygame.K_LEFT,), (pygame.K_LEFT, pygame.K_x), (pygame.K_q,), None])
    read = window.read

    def play_next():
        keys = next(turns)
        if keys is None:
            post(pygame.K_ESCAPE)
        hold(*(keys or ()))
        return read()

    window.read = play_next
    run(source, window)
    assert source.pressed == [{"LEFT"}, {"LEFT", "A"}, set()]


def test_brackets_change_the_temperature(window):
    """[ and ] are a notch each time they go down; both at once are none."""
    post(pygame.K_RIGHTBRACKET, pygame.K_RIGHTBRACKET)
    assert window.read().warmer == 2
    post(pygame.K_LEFTBRACKET)
    assert window.read().warmer == -1
    assert window.read().warmer == 0


@pytest.mark.parametrize(
    ("key", "wish"),
    [("r", "restart"), ("p", "pause"), ("g", "save_gif"), ("m", "menu"), ("escape", "quit")],
)
def test_own_keys_act_once_when_they_go_down(window, key, wish):
    """R, P, G, M and ESC are Dreamcart's own, and each press counts once."""
    post(pygame.key.key_code(key))
    turn = window.read()
    assert [
        name for name in ("restart", "pause", "save_gif", "menu", "quit") if getattr(turn, name)
    ] == [wish]
    assert key in OWN_KEYS
    assert not getattr(window.read(), wish)


def test_closing_the_window_quits(window):
    """The window's own close button ends play as ESC does."""
    pygame.event.post(pygame.event.Event(pygame.QUIT))
    assert window.read().quit


def test_a_short_tap_is_not_lost(window):
    """A key that goes down and up between two steps was pressed: fast thumbs must not be
    ignored.
    """
    post(pygame.K_LEFT)
    pygame.event.post(pygame.event.Event(pygame.KEYUP, key=pygame.K_LEFT))
    assert window.read().pressed == {"LEFT"}
    assert window.read().pressed == set()


@pytest.mark.parametrize(("width", "height"), [(16, 16), (32, 16), (8, 24)])
def test_the_picture_keeps_its_aspect(window, width, height):
    """Whatever its shape, a frame is drawn as large as fits and never stretched."""
    window.show(np.full((height, width, 3), (255, 0, 255), np.uint8), False, "")
    drawn = (pygame.surfarray.array3d(window.screen) == (255, 0, 255)).all(2)
    columns, rows = drawn.any(1).sum(), drawn.any(0).sum()
    assert drawn.sum() == columns * rows
    assert columns >= 2 * width
    assert columns * height == rows * width


def test_help_and_state_are_on_the_screen(window):
    """Whoever opens the window sees every button's key, Dreamcart's own keys, the frame rate and
    the pause.
    """
    lines = []
    window._line = lambda text, number, colour: lines.append(text)
    window.show(np.zeros((16, 16, 3), np.uint8), True, "saved clip.gif")
    text = "\n".join(lines)
    assert "PAUSED" in text
    assert "FPS" in text
    assert "saved clip.gif" in text
    assert all(f"{key}: {button}" in text for button, key in SPEC.keys.items())
    assert all(f"{key}: " in text for key in OWN_KEYS)


def test_all_help_is_seen_when_the_window_opens(window):
    """A line that runs out of the window is no help; the game's own picture may be narrow."""
    widths = []
    window._line = lambda text, number, colour: widths.append(window.fonts[0].size(text)[0])
    window.show(
        np.zeros((16, 16, 3), np.uint8),
        True,
        "temperature 1.0   saved blockfall-20261125-120000.gif",
    )
    assert len(widths) == 4
    assert max(widths) <= window.screen.get_width() - 2 * MARGIN


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"A": "x", "B": "x"}, "'x' to both A and B"),
        ({"A": "x", "B": "X"}, "'x' to B, but A"),
        ({"A": "r"}, "'r' to A, but Dreamcart itself"),
        ({"A": "Escape"}, "'escape' to A, but Dreamcart itself"),
        ({"A": "no such key"}, "'no such key'"),
        ({"C": "c"}, "'C'"),
    ],
)
def test_keys_that_cannot_work_are_refused(keys, named):
    """Two meanings of one key, or a key or button that there is not, are mistakes in game.yaml, and
    named.
    """
    with pytest.raises(UserError, match=named) as caught:
        Window(make_spec(keys=keys), 16, 16, "Toy", scale=1)
    pygame.quit()
    assert_sentence(caught.value)


@pytest.mark.parametrize("game", ["blockfall", "blockfall_b"])
def test_the_repositorys_games_have_working_keys(game):
    """Every button of the games that come with Dreamcart can be pressed."""
    spec = load_game(game)
    Window(spec, 80, 80, spec.title).close()
    assert set(spec.keys) == set(spec.buttons)


def test_no_display_is_refused(monkeypatch):
    """On a machine without a display the sentence names the way to play there."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "no_such_driver")
    pygame.quit()
    with pytest.raises(UserError, match="--headless") as caught:
        Window(SPEC, 16, 16, "Toy")
    assert_sentence(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is always a screen")
@pytest.mark.parametrize("option", [[], ["--menu"]])
def test_without_a_screen_no_window_waits_unseen(tmp_path, option):
    """SDL would draw into memory and wait for keys for ever."""
    checkout = copy_checkout(tmp_path / "checkout")
    shutil.copytree(WORLD_V1, checkout / "models" / "blockfall")
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    }
    line = [sys.executable, str(checkout / "stages" / "play.py"), "--game", "blockfall", *option]
    done = subprocess.run(line, capture_output=True, text=True, env=env, timeout=120)
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert "neither DISPLAY nor WAYLAND_DISPLAY" in said
    assert "--headless" in said


# stages/play.py


def test_headless_play_from_another_directory(tmp_path):
    """The dream plays a list of actions into a GIF, with no display and no emulator, from any
    directory.
    """
    checkout = copy_checkout(tmp_path / "checkout")
    shutil.copytree(WORLD_V1, checkout / "models" / "blockfall")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    command = [
        sys.executable,
        str(checkout / "stages" / "play.py"),
        "--headless",
        "--gif",
        "out/dream.gif",
    ]
    command += ["--actions", "LEFT*3 .*2 LEFT+A RIGHT*4", "--frames", "15"]
    done = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Dreaming blockfall (trained here).\n15 steps; ")
    assert "saved out/dream.gif" in done.stdout
    with Image.open(elsewhere / "out" / "dream.gif") as gif:
        assert gif.n_frames > 5
        assert gif.size == (32, 32)


@pytest.fixture
def play(tmp_path, monkeypatch, capsys):
    """play(arguments) → (exit code, what was printed, what was complained); the golden world is
    there to play.
    """
    from stages import play as stage

    shutil.copytree(WORLD_V1, tmp_path / "models" / "blockfall")
    for name in ("dreamcart.core.paths.ROOT", "dreamcart.play.library.ROOT"):
        monkeypatch.setattr(name, tmp_path)
    monkeypatch.setattr("dreamcart.world.cart.FOLDER", tmp_path / "carts")

    def run_it(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["play.py", *arguments])
        code = 0
        try:
            run_stage(stage.main)
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return run_it


def test_frames_end_a_list_of_actions_early(play):
    """--frames is when to stop, also in the middle of the actions."""
    printed = play("--headless", "--game", "blockfall", "--actions", "A*50", "--frames", "4")[1]
    assert printed.splitlines()[1].startswith("4 steps; ")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--headless"], "--actions or --frames"),
        (["--headless", "--frames", "-3"], "allowed: 1 to"),
        (["--headless", "--actions", "JUMP"], "no button 'JUMP'"),
        (["--headless", "--frames", "3", "--temperature", "0.5"], "(mlp) knows one future only"),
        (["--headless", "--frames", "3", "--temperature", "-1"], "allowed: 0 to 2"),
        (["--headless", "--frames", "3", "--real", "--temperature", "1"], "--temperature"),
        (["--headless", "--frames", "3", "--gif", "."], "is a folder"),
        (["--actions", "A*5"], "needs --headless"),
        (["--cart", "some.cart"], "leave --game out"),
        (["--headless", "--frames", "3", "--gif", __file__ + "/dream.gif"], "test_play.py"),
        (["--headless", "--frames", "3", "--start", "Nowhere"], "no start state 'Nowhere'"),
        (["--headless", "--frames", "3", "--game", "pacman"], "pacman"),
        (["--headless", "--frames", "3", "--real", "--game", "pacman"], "no game 'pacman'"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_code_2(play, arguments, named):
    """A person's mistake is told in one line, without a traceback, and scripts see that it
    failed.
    """
    code, printed, complaint = play("--game", "blockfall", *arguments)
    lines = [line for line in complaint.splitlines() if line.startswith("error: ")]
    assert (code, len(lines)) == (2, 1)
    assert printed in ("", "Dreaming blockfall (trained here).\n")
    assert named in lines[0]
    assert "Traceback" not in complaint


def test_play_without_a_model_says_how_to_get_one(play, tmp_path):
    """The first thing that a newcomer meets: nothing is trained yet."""
    shutil.rmtree(Path(tmp_path / "models"))
    code, _, complaint = play("--headless", "--frames", "3", "--game", "blockfall")
    assert code == 2
    assert complaint.startswith("error: There is neither a trained model nor a cart of 'blockfall'")
    assert "dvc exp run -S game=blockfall" in complaint
