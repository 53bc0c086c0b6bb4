"""Games by name: with a folder or without, what is here and what is not, and importing ROMs that
one owns.
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from argparse import Namespace
from pathlib import Path

import pygame
import pytest
from toys.synthetic import assert_sentence, copy_checkout

from dreamcart.core import paths
from dreamcart.core.errors import UserError
from dreamcart.core.paths import ROOT, Paths
from dreamcart.data.scripts import make_policy
from dreamcart.games.catalog import (
    PLATFORMS,
    game_contents,
    game_files,
    game_module,
    game_names,
    load_game,
    near_names,
)
from dreamcart.games.emulator import open_emulator
from dreamcart.games.keys import key_map
from dreamcart.games.retro import has_rom
from dreamcart.play.window import OWN_KEYS
from dreamcart.record import games, roms

pytest.importorskip("ale_py")
stable_retro = pytest.importorskip("stable_retro")
VIZDOOM = importlib.util.find_spec("vizdoom") is not None
CURATED = {
    "blockfall",
    "blockfall_b",
    "breakout",
    "emberling",
    "pong",
    "space_invaders",
    "ms_pacman",
    "airstriker",
    "vizdoom_basic",
    "nes_tetris",
}


@pytest.fixture
def own_games(tmp_path, monkeypatch):
    """A checkout with no games: a function that writes games/<name>/game.yaml there."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)

    def write(name: str, text: str) -> None:
        (tmp_path / "games" / name).mkdir(parents=True)
        (tmp_path / "games" / name / "game.yaml").write_text(text)

    return write


# Names


@pytest.mark.parametrize(
    ("name", "title", "buttons", "rate"),
    [
        ("ALE/Assault-v5", "Assault", ["FIRE", "UP", "RIGHT", "LEFT"], 30),
        ("ALE/TicTacToe3D-v5", "Tic Tac Toe 3D", ["FIRE", "UP", "RIGHT", "LEFT", "DOWN"], 30),
        (
            "Airstriker-Genesis-v0",
            "Airstriker (Genesis)",
            [*"BA", "START", "UP", "DOWN", "LEFT", "RIGHT", *"CYXZ"],
            30,
        ),
        (
            "SuperMarioBros3-Nes-v0",
            "Super Mario Bros 3 (Nes)",
            ["B", "SELECT", "START", "UP", "DOWN", "LEFT", "RIGHT", "A"],
            30,
        ),
    ],
)
def test_an_environment_needs_no_folder(name, title, buttons, rate):
    """What Gymnasium calls a game is a `game`: everything the pipeline asks for comes from the
    environment.
    """
    spec = load_game(name)
    assert (spec.name, spec.env, spec.title, spec.buttons, spec.step_rate) == (
        name,
        name,
        title,
        buttons,
        rate,
    )
    assert game_files(name) == []
    assert game_contents(name) == {}
    assert game_module(name, "bot.py") is None
    assert [script.state for script in spec.scripts] == spec.start_states * len(spec.scripts)
    for script in spec.scripts:
        make_policy(script.policy, spec)


def test_every_game_known_here_describes_itself():
    """All pads of all consoles: buttons without a gap, and a key for each, which the window itself
    does not use.
    """
    pygame.display.init()
    consoles, ataris = (list(PLATFORMS[backend].environments()) for backend in ("retro", "ale"))
    assert len(consoles) > 500
    assert len(ataris) > 50
    for name in consoles:
        spec = load_game_fast(name)
        assert all(spec["buttons"]), name
        check_keys(key_map(spec["buttons"]))
    others = list(PLATFORMS["vizdoom"].environments())  # none where it is not installed
    for name in (*ataris[::25], *others[::25]):
        check_keys(load_game(name).keys)


def load_game_fast(name: str) -> dict:
    """Without looking through all names again, a thousand times."""
    return PLATFORMS["retro"].module().describe(name)


def check_keys(keys: dict[str, str]) -> None:
    assert len(set(keys.values())) == len(keys)
    assert not set(keys.values()) & set(OWN_KEYS)
    assert all(pygame.key.key_code(key) for key in keys.values())


@pytest.mark.parametrize(
    ("buttons", "keys"),
    [
        (["MOVE_LEFT", "MOVE_RIGHT", "ATTACK"], ["left", "right", "left ctrl"]),
        # the arrow goes to the button that has no other wish
        (["MOVE_LEFT", "TURN_LEFT"], ["a", "left"]),
        (["R", "P", "G"], ["w", "q", "e"]),  # r, p and g belong to the window
        (["FIRE", "BUTTON"], ["space", "q"]),
    ],
)
def test_keys_are_those_one_expects_and_never_shared(buttons, keys):
    """Conflicts are settled by who has no second choice."""
    assert key_map(buttons) == dict(zip(buttons, keys, strict=True))


def test_more_buttons_than_keys_of_their_own():
    """Unknown names get what is left."""
    check_keys(key_map([f"BUTTON_{number}" for number in range(40)]))


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Assalt", "ALE/Assault-v5"),
        ("ALE/Asault-v5", "ALE/Assault-v5"),
        ("PongNoFrameskip-v4", "ALE/Pong-v5"),
        ("airstriker-genesis", "Airstriker-Genesis-v0"),
        ("Blokfall", "blockfall"),
    ],
)
def test_an_unknown_name_is_one_sentence_with_near_names(name, near):
    """Nobody knows a thousand names by heart."""
    assert near in near_names(name)
    for ask in (load_game, game_files):
        with pytest.raises(UserError, match=near) as caught:
            ask(name)
        assert_sentence(caught.value)
        assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["zzqqxx", ""])
def test_a_name_like_none_is_refused(name):
    """Nothing near, or nothing at all."""
    with pytest.raises(UserError, match=f"no game '{name}'") as caught:
        load_game(name)
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    "name", ["../x", "/x", "x/", "a//b", "a/../b", "a b", ".hidden", "a\\b", "vizdoom:basic", ""]
)
def test_names_that_lead_elsewhere_make_no_paths(name):
    """`game` goes into every path: none of them may leave data/, models/ and the rest."""
    with pytest.raises(UserError) as caught:
        Paths(name)
    assert_sentence(caught.value)


def test_a_slash_is_a_folder_in_a_folder():
    """As DVC has it, which puts `game` into its paths as it stands."""
    paths = Paths("ALE/Assault-v5")
    assert paths.raw == ROOT / "data" / "ALE" / "Assault-v5" / "raw"
    assert paths.checkpoint("train_ae", "0").is_relative_to(ROOT / "checkpoints" / "ALE")
    assert Paths("blockfall").models == ROOT / "models" / "blockfall"


@pytest.mark.skipif(VIZDOOM, reason="vizdoom is installed")
def test_a_missing_library_is_named_with_how_to_install_it():
    """vizdoom is optional."""
    with pytest.raises(UserError, match="requirements-vizdoom") as caught:
        load_game("VizdoomBasic-v1")
    assert_sentence(caught.value)


# Folders


def test_a_folder_says_what_needs_saying(own_games):
    """All the rest comes from the environment that it extends; fewer buttons have keys of their
    own.
    """
    own_games(
        "mine", "extends: ALE/Assault-v5\ntitle: Mine\nbuttons: [FIRE, LEFT]\nframe_skip: 4\n"
    )
    own_games("child", "extends: mine\nkeys: {FIRE: x, LEFT: a}\n")
    spec, child = load_game("mine"), load_game("child")
    assert (spec.name, spec.title, spec.env, spec.frame_skip) == (
        "mine",
        "Mine",
        "ALE/Assault-v5",
        4,
    )
    assert spec.keys == {"FIRE": "space", "LEFT": "left"}
    assert (child.keys, child.buttons) == ({"FIRE": "x", "LEFT": "a"}, spec.buttons)
    assert [path.parent.name for path in game_files("child")] == ["child", "mine"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("extends: ALE/Asault-v5", "games/mine/game.yaml extends 'ALE/Asault-v5'"),
        ("extends: mine", "extends itself"),
        ("buttons: [", "not valid YAML"),
        ("just words", "mapping"),
        ("extends: ALE/Pong-v5\nframeskip: 4", "games/mine/game.yaml: unknown key 'frameskip'"),
        ("extends: ALE/Pong-v5\nfps: 0", "fps is 0.0; allowed: 1.0 to 1000"),
        ("extends: ALE/Pong-v5\nfps: .nan", "fps is nan"),
        (
            "extends: ALE/Pong-v5\nframe_skip: 1000000000",
            "frame_skip is 1000000000; allowed: 1 to 240",
        ),
        ("extends: ALE/Pong-v5\nfps: 1\nframe_skip: 200", "steps a second"),
        ("extends: ALE/Pong-v5\ncrop: [1]", "crop is .1.; allowed: 4 entries"),
        ("extends: ALE/Pong-v5\ncrop: [0, 0, 0, -1]", r"crop\[3\] is -1"),
        ("extends: ALE/Pong-v5\nscripts: []", "scripts is .* 1 to 1000 entries"),
        (
            "extends: ALE/Pong-v5\nscripts: [{policy: held, state: Start, share: 0}]",
            "no share above 0",
        ),
        ("extends: ALE/Pong-v5\nscripts: [{policy: held, state: Start, share: -1}]", "share is -1"),
        (
            "extends: ALE/Pong-v5\nscripts: [{policy: hold, state: Start}]",
            "policy is 'hold'; allowed: 'play'",
        ),
        ("extends: ALE/Pong-v5\nscripts: [{policy: bot, state: Start}]", "no bot.py"),
        ("extends: ALE/Pong-v5\nscripts: [{policy: held, state: ../x}]", "state is '../x'"),
        ("extends: ALE/Pong-v5\nstart_states: [a b]", "start_states"),
        ("extends: ALE/Pong-v5\nbuttons: []", "buttons is"),
        ("extends: ALE/Pong-v5\nbuttons: [FIRE, FIRE]", "'FIRE' twice"),
        ("extends: ALE/Pong-v5\nbuttons: FIRE", "buttons is 'FIRE'; it must be a list"),
        ("extends: ALE/Pong-v5\nbuttons: [FIRE]\nkeys: {LEFT: a}", "keys binds 'LEFT'"),
        ("extends: ALE/Pong-v5\nkeys: {FIRE: a, LEFT: a}", "gives 'a' to both FIRE and LEFT"),
        ("extends: ALE/Pong-v5\nkeys: {FIRE: 3}", "keys.FIRE is 3; it must be a text"),
        ("extends: ALE/Pong-v5\nedge_cases: {odd: score is 3}", "'VARIABLE = VALUE'"),
        ("extends: ALE/Pong-v5\nevents: {points: [score]}", "events.points"),
        ("extends: ALE/Pong-v5\nram: {ball: 200}", "ram.ball is 200"),
        ("extends: ALE/Pong-v5\nintegration: ../..", "does not stay inside"),
        ("extends: ALE/Pong-v5\nintegration: /etc", "does not stay inside"),
        ("extends: ALE/Pong-v5\nintegration: [a]", "integration is .* must be a text"),
        ("extends: 3", "extends is 3; it must be a text"),
        ("extends: ../../x", "cannot name a game"),
        ("extends: ALE/Pong-v5\ntitle: ''", "title is ''; allowed: 1 to 200 characters"),
        ("extends: ALE/Pong-v5\nname: ../../x", "cannot name a game"),
        ("extends: ALE/Pong-v5\ntitle: a\ntitle: b", "has the key 'title' twice near line 3"),
        ("1: 2", "mapping"),
        ("a: &a [1]\nb: &b [*a, *a]\nextends: [*b, *b]", "extends is"),
    ],
)
def test_a_wrong_folder_is_one_sentence(own_games, text, named):
    """A person's own game.yaml is where mistakes are made."""
    own_games("mine", text)
    with pytest.raises(UserError, match=named) as caught:
        load_game("mine")
    assert_sentence(caught.value)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("crop: [500, 500, 0, 0]", "crops .500, 500, 0, 0. .* off a picture of 210 x 160"),
        ("crop: [0, 0, 80, 80]", "leaves less than 8 pixels"),
        (
            "events: {points: scores}",
            "a variable 'scores' .events: points. that ALE/Pong-v5 lacks; it has lives",
        ),
        ("edge_cases: {odd: most board}", "a variable 'board'"),
        ("edge_cases: {odd: board = 3}", "a variable 'board'"),
        ("seed_variable: rng", "a variable 'rng'"),
        ("start_states: [Level1]", "no start state 'Level1'"),
        ("scripts: [{policy: held, state: Level1}]", "no start state 'Level1'"),
        ("buttons: [FIRE, JUMP]", "a button 'JUMP'"),
    ],
)
def test_what_the_running_game_contradicts_is_said_before_anything_is_recorded(
    own_games, text, named
):
    """Screen, variables and states are known when the emulator runs: not after an hour of
    training.
    """
    own_games("mine", f"extends: ALE/Pong-v5\n{text}")
    with pytest.raises(UserError, match=named) as caught:
        open_emulator(load_game("mine"))
    assert_sentence(caught.value)


def test_contents_change_with_what_a_recording_depends_on(own_games, tmp_path):
    """A text beside the game does not make it another game."""
    own_games("mine", "extends: ALE/Pong-v5")
    before = game_contents("mine")
    (tmp_path / "games/mine/README.md").write_text("words")
    assert game_contents("mine") == before
    (tmp_path / "games/mine/bot.py").write_text("def make_bot(): ...")
    assert set(game_contents("mine")) == {"games/mine/bot.py"}


@pytest.mark.parametrize("changed", ["reader.py", "reader_well.py"])
def test_another_game_leaves_this_ones_stage_output_as_it_was(tmp_path, changed):
    """`collect` depends on data/<game>/game.json: a game that is added, or a key, must not record
    all others again.
    """
    checkout = copy_checkout(tmp_path / "checkout")
    outputs = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "stages/game.py"], cwd=checkout, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        outputs.append(
            [
                (checkout / "data" / "blockfall" / name).read_text()
                for name in ("game.json", "reader.json")
            ]
        )
        (checkout / "games" / "new").mkdir(exist_ok=True)
        (checkout / "games" / "new" / "game.yaml").write_text("extends: ALE/Pong-v5")
        own = checkout / "games" / "blockfall" / "game.yaml"
        own.write_text(own.read_text().replace("keys: {A: x,", "keys: {A: k,"))
    assert outputs[0] == outputs[1]
    assert "A: k" in own.read_text()
    reader = checkout / "games" / "blockfall" / changed
    reader.write_text(reader.read_text() + "# changed\n")
    subprocess.run(
        [sys.executable, "stages/game.py"], cwd=checkout, check=True, capture_output=True
    )
    assert (checkout / "data/blockfall/game.json").read_text() == outputs[0][0]
    assert (checkout / "data/blockfall/reader.json").read_text() != outputs[0][1]


@pytest.mark.parametrize("name", sorted(CURATED))
def test_curated_games_are_whole(name):
    """Each loads, its variables, keys and scripts fit each other, and its first frame is whole
    tiles.
    """
    if name.startswith("vizdoom") and not VIZDOOM:
        pytest.skip("vizdoom is not installed")
    spec = load_game(name)
    check_keys(spec.keys)
    assert set(spec.keys) <= set(spec.buttons)
    for script in spec.scripts:
        make_policy(script.policy, spec)
    if name == "nes_tetris":
        return
    emulator = open_emulator(spec)
    try:
        frame = emulator.reset(spec.start_states[0], 0)
        variables = emulator.variables()
        assert set(spec.events.values()) <= set(variables)
        assert {
            case.split()[0] for case in spec.edge_cases.values() if not case.startswith("most")
        } <= set(variables)
        if name in ("space_invaders", "ms_pacman", "airstriker", "vizdoom_basic"):
            assert [side % 8 for side in frame.shape[:2]] == [0, 0]
    finally:
        emulator.close()


def test_the_folders_are_the_curated_games():
    assert set(game_names()) == CURATED


def test_nes_tetris_without_its_rom_is_one_sentence():
    """For those who own it; the others are told what to do."""
    if (ROOT / "games/nes_tetris/Tetris-Nes-v0/rom.nes").exists():
        pytest.skip("somebody owns it")
    with pytest.raises(
        UserError, match=r"Tetris \(NES\) is missing.*record.py import FOLDER"
    ) as caught:
        open_emulator(load_game("nes_tetris"))
    assert_sentence(caught.value)
    assert "git" not in str(caught.value)  # which has none to give back


def test_nes_tetris_bot_lays_pieces():
    """Through the menus by START, then turns and columns; checked without the ROM, on made-up
    variables.
    """
    import numpy as np

    bot, rng = game_module("nes_tetris", "bot.py").make_bot(), np.random.default_rng(0)
    menu = [bot.act({"game_state": 1, "play_state": 0}, rng) for _ in range(200)]
    assert {"START"} in menu
    assert menu.count(set()) > 150
    board = np.full(200, 0xEF, np.uint8)
    board[-10:-1] = 1  # the last column is the lowest
    info = {"game_state": 4, "play_state": 1, "pieces": 1, "piece_x": 5, "board": board}
    held = []
    for _ in range(30):
        held.append(bot.act(info, rng))
        info["piece_x"] += ("RIGHT" in held[-1]) - ("LEFT" in held[-1])
    assert info["piece_x"] == 9
    assert held[-1] == {"DOWN"}


# The list


def printed(capsys, name=None) -> str:
    games.run(Namespace(name=name))
    return capsys.readouterr().out


def test_the_list_has_every_platform_and_folder(capsys):
    """What can be played here, and what is to be had."""
    out = printed(capsys)
    for name in (*CURATED, "ALE/Assault-v5", "Airstriker-Genesis-v0"):
        assert name in out
    assert "104 ready, 0 without a ROM" in out
    assert "SonicTheHedgehog-Genesis-v0" not in out  # its ROM is missing: only a search shows it


def test_a_search_says_whose_rom_is_missing(capsys):
    """By a part of the name, capitals and signs aside."""
    lines = {
        line.split()[0]: line for line in printed(capsys, "mspac").splitlines() if line.strip()
    }
    assert lines["ALE/MsPacman-v5"].endswith("ready")
    assert lines["MsPacMan-Nes-v0"].endswith("ROM missing")
    assert lines["ms_pacman"].endswith("ready")
    assert printed(capsys, "Ms. Pac-Man").count("ms_pacman") == 1


def test_a_search_says_what_to_do(capsys, monkeypatch):
    """What can be played comes first; for the rest: how to come by it."""
    out = printed(capsys, "tetris")
    lines = [
        line.split()[0] for line in out.splitlines() if line.endswith(("ready", "ROM missing"))
    ]
    assert lines[0] == "ALE/Tetris-v5"
    assert "nes_tetris" in lines[1:]
    assert "record.py import FOLDER" in out
    assert "import FOLDER" not in printed(capsys, "assault-v5")
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "vizdoom" else find(name, *rest),
    )
    assert "vizdoom, which is not installed; run `pip install" in printed(capsys, "vizdoom_basic")


def test_a_search_without_a_find_is_refused_with_near_names():
    with pytest.raises(UserError, match="ALE/Assault-v5") as caught:
        games.run(Namespace(name="assalt"))
    assert_sentence(caught.value)


# Importing ROMs


@pytest.fixture
def integration(tmp_path, monkeypatch):
    """A game of our own that waits for its ROM: (folder of the integration, the ROM's content)."""
    content = b"NES\x1a" + bytes(12) + b"\0a made-up game" * 100
    game = tmp_path / "integrations" / "Mine-Nes-v0"
    game.mkdir(parents=True)
    (game / "rom.sha").write_text(hashlib.sha1(content[16:]).hexdigest() + "\n")
    monkeypatch.setattr(roms, "_own_integrations", lambda: [game.parent])
    return game, content


def test_what_is_recognised_is_imported_once(integration, tmp_path, capsys):
    """By content, not by name; a second time it is already there, and the file is left as it
    was.
    """
    game, content = integration
    folder = tmp_path / "mine" / "deep"
    folder.mkdir(parents=True)
    (folder / "any name.nes").write_bytes(content)
    (folder / "hack.nes").write_bytes(content + b"!")
    (folder / "README.md").write_text("no ROM, though a Mega Drive's end in .md")
    (folder / "photo.jpg").write_bytes(b"\0\1")
    report = roms.import_roms(tmp_path / "mine")
    assert report.imported == {"Mine-Nes-v0": "deep/any name.nes"}
    assert report.unknown == {
        "deep/hack.nes": f"SHA-1 {hashlib.sha1((content + b'!')[16:]).hexdigest()}"
    }
    assert report.others == 2
    assert (game / "rom.nes").read_bytes() == content
    roms.run(Namespace(folder=tmp_path / "mine"))
    out = capsys.readouterr().out
    assert "Already here: 1\n  Mine-Nes-v0" in out
    assert "hack.nes" in out
    assert "2 other files" in out


def test_a_wrong_rom_is_not_called_ready(integration):
    """`games` would promise what `play` then refuses."""
    game, content = integration
    for rom, ready in ((None, False), (content, True), (content[:-7], False)):
        if rom:
            (game / "rom.nes").write_bytes(rom)
        assert has_rom(game.name, game.parent) == ready


def test_a_wrong_rom_in_place_is_put_right(integration, tmp_path):
    """Half a download, say: the game does not start with it, and "already here" would leave
    it so.
    """
    game, content = integration
    (game / "rom.nes").write_bytes(content[:-7])
    (tmp_path / "good.nes").write_bytes(content)
    assert roms.import_roms(tmp_path / "good.nes").imported == {"Mine-Nes-v0": "good.nes"}
    assert (game / "rom.nes").read_bytes() == content


def test_archives_are_looked_into(integration, tmp_path):
    """Also an archive in an archive; a broken one stops nothing."""
    game, content = integration
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("game.nes", content)
    folder = tmp_path / "mine"
    folder.mkdir()
    with zipfile.ZipFile(folder / "outer.zip", "w") as archive:
        archive.write(inner, "inner.zip")
    (folder / "broken.zip").write_bytes(b"PK\3\4 no archive")
    report = roms.import_roms(folder)
    assert report.imported == {"Mine-Nes-v0": "outer.zip!inner.zip!game.nes"}
    assert list(report.unreadable) == ["broken.zip"]
    assert (game / "rom.nes").read_bytes() == content


def test_our_own_rom_is_already_here(tmp_path):
    """Blockfall's, found by its hash in any folder, and one file instead of a folder."""
    shutil.copy(ROOT / "games/blockfall/Blockfall-Nes-v0/rom.nes", tmp_path / "x.nes")
    assert roms.import_roms(tmp_path / "x.nes").already == {"Blockfall-Nes-v0": "x.nes"}


@pytest.mark.parametrize(
    ("make", "named"),
    [(None, "no folder"), ([], "is empty"), (["notes.txt"], "No game was recognised")],
)
def test_nothing_to_import_is_one_sentence(integration, tmp_path, make, named, capsys):
    folder = tmp_path / "mine"
    if make is not None:
        folder.mkdir()
        for name in make:
            Path(folder / name).write_text("words")
    with pytest.raises(UserError, match=named) as caught:
        roms.run(Namespace(folder=folder))
    assert_sentence(caught.value)
