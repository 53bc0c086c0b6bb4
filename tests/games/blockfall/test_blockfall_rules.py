"""Every rule of the game, seen from outside: buttons in, RAM and frames out."""

import numpy as np
import pytest
from blockfall_console import CELLS, GAME_DIR, PIECES, load_module

NAMES = PIECES["names"]
ORDER = [NAMES.index(n) for n in PIECES["mode_a_order"]]
AFTER = {t: ORDER[(i + 1) % 7] for i, t in enumerate(ORDER)}
PIECE_I, PIECE_O, PIECE_T = (NAMES.index(n) for n in "IOT")


# ---- the picture that RAM calls for ----------------------------------------


class Artist:
    """Draws the screen from the variables, with the ROM's own tiles."""

    def __init__(self, console):
        self.assets = a = load_module(GAME_DIR / "src" / "assets.py")
        self.tile, chars = a.read_tiles(GAME_DIR / "src" / "tiles.txt")
        planes = np.unpackbits(np.frombuffer(chars, np.uint8)).reshape(-1, 2, 8, 8)
        self.pixels = planes[:, 0] + 2 * planes[:, 1]
        self.title = self.unpack(a.title_screen(self.tile))
        self.play = self.unpack(a.play_screen(self.tile))
        # The emulator's colours, from one frame whose content is known.
        console.load("HighA")
        wanted = self.indexed(console.info)
        self.rgb = np.zeros((16, 3), np.uint8)
        for colour in np.unique(wanted):
            y, x = np.argwhere(wanted == colour)[0]
            self.rgb[colour] = console.screen[y, x]

    @staticmethod
    def unpack(screen):
        data = np.frombuffer(screen, np.uint8)
        colours = np.zeros((30, 32), np.uint8)
        for y in range(30):
            for x in range(32):
                byte = data[960 + (y // 4) * 8 + x // 4]
                colours[y, x] = byte >> ((y & 2) * 2 + (x & 2)) & 3
        return data[:960].reshape(30, 32), colours

    def tiles(self, info):
        a, tile = self.assets, self.tile
        if info["scene"] == 0:
            cells, colours = self.title
            cells = cells.copy()
            for mode, (x, y) in enumerate((a.CURSOR_A, a.CURSOR_B)):
                if mode == info["mode"]:
                    cells[y, x] = tile["CURSOR"]
            return cells, colours
        cells, colours = self.play
        cells = cells.copy()

        def put(at, values):
            values = np.atleast_2d(values)
            h, w = values.shape
            cells[at[1] : at[1] + h, at[0] : at[0] + w] = values

        def number(at, value, count):
            d = [int(c) for c in f"{value:0{count}d}"]
            put(at, [[tile["top_" + a.TOPS[i]] for i in d], [tile["low_" + a.LOWS[i]] for i in d]])

        board = np.array([info[f"board_{i:03d}"] for i in range(200)], np.uint8).reshape(20, 10)
        if info["phase"] == 2:
            board[board.all(axis=1)] = tile["CLEAR"]
        elif info["scene"] == 1 and info["phase"] == 0:
            for dx, dy in CELLS[info["piece_type"]][info["piece_rot"]]:
                board[info["piece_y"] + dy, info["piece_x"] + dx] = info["piece_type"] + 1
        put(a.BOARD, board)
        following = np.zeros((2, 4), np.uint8)
        for dx, dy in CELLS[info["next_type"]][0]:
            following[dy, dx] = info["next_type"] + 1
        put(a.NEXT, following)
        number(a.SCORE, info["score"], 5)
        number(a.LINES, info["lines"], 3)
        number(a.LEVEL, info["level"], 2)
        put(a.TYPE, tile["'" + "AB"[info["mode"]]])
        words = "  PAUSED  " if info["paused"] else "GAME  OVER" if info["game_over"] else " " * 10
        put(a.TEXT, [tile["empty" if c == " " else "'" + c] for c in words])
        bar = tile["BAR" if words.strip() else "empty"]
        for dy in (-1, 1):
            put((a.TEXT[0], a.TEXT[1] + dy), [bar] * 10)
        return cells, colours

    def indexed(self, info):
        """224 x 240 palette entries, palette * 4 + colour."""
        cells, colours = self.tiles(info)
        picture = self.pixels[cells]
        picture = np.where(picture > 0, picture + 4 * colours[..., None, None], 0)
        return picture.transpose(0, 2, 1, 3).reshape(240, 256)[8:232, 8:248]

    def draw(self, info):
        return self.rgb[self.indexed(info)]


@pytest.fixture(scope="module")
def artist(console):
    return Artist(console)


def test_screen_is_a_grid_of_few_tiles(console):
    seen = set()
    for state in ["Title", "PlayA", "PlayB", "HighA", "NearClearA", "Level6A"]:
        screen = console.load(state).screen
        assert screen.shape == (224, 240, 3)
        grid = screen.reshape(28, 8, 30, 8, 3).swapaxes(1, 2).reshape(-1, 192)
        seen |= {cell.tobytes() for cell in grid}
    assert len(seen) < 100


def random_play(frames, seed, hold):
    """Random buttons, with enough DOWN and START for every event."""
    rng = np.random.default_rng(seed)
    names = ["LEFT", "RIGHT", "DOWN", "A", "B", "UP", "SELECT", "START"]
    chance = [0.2, 0.2, 0.5, 0.2, 0.1, 0.05, 0.05, 0.03]
    held = []
    for i in range(frames):
        if i % hold == 0:
            held = [n for n, p in zip(names, chance, strict=False) if rng.random() < p]
        yield held


@pytest.mark.parametrize("state", ["Title", "HighA", "NearClearA", "PlayB"])
def test_every_frame_is_whole(console, artist, state):
    """Each frame equals the picture of the RAM one frame earlier: nothing is
    half drawn, late or hidden, and no frame's logic overruns."""
    console.load(state)
    events = set()
    before = dict(console.info)
    script = list(random_play(900, seed=len(state), hold=3))
    if state == "NearClearA":  # first the four lines
        script[:0] = [["A"]] * 2 + [["RIGHT"]] * 40 + [["DOWN"]] * 60
    for held in script:
        console.frame(*held)
        assert np.array_equal(console.screen, artist.draw(before)), before
        before = dict(console.info)
        events |= {(before["scene"], before["phase"], before["paused"])}
    assert console.lag == 0
    if state == "HighA":
        assert (1, 1, 0) in events
        assert (2, 1, 0) in events
        assert any(paused for *_, paused in events)
    if state == "NearClearA":
        assert (1, 2, 0) in events


@pytest.mark.parametrize("state", ["PlayA", "HighA", "NearClearA", "Level1A", "Level8A", "PlayB"])
def test_two_frame_steps_show_what_ram_holds(console, artist, state):
    """With buttons held for two frames, nothing happens in the second one:
    an agent's picture and its RAM agree."""
    console.load(state)
    for held in random_play(300, seed=7, hold=1):
        console.frame(*held)
        first = {
            k: v
            for k, v in console.info.items()
            if k not in ("gravity", "shift", "clearing", "soft", "start_wait")
        }
        console.frame(*held)
        assert {k: console.info[k] for k in first} == first
        assert np.array_equal(console.screen, artist.draw(console.info))


@pytest.mark.parametrize("state", ["PlayA", "PlayB"])
def test_replay_is_byte_identical(console, state):
    def run():
        console.load(state)
        out = []
        for held in random_play(500, seed=3, hold=2):
            console.frame(*held)
            out.append(console.screen.tobytes() + console.env.get_ram().tobytes())
        return out

    assert run() == run()


# ---- title and start --------------------------------------------------------


def test_title_chooses_the_mode(console):
    console.load("Title")
    assert (console.scene, console.mode) == (0, 0)
    for button, mode in (
        ("DOWN", 1),
        ("DOWN", 1),
        ("UP", 0),
        ("SELECT", 1),
        ("SELECT", 0),
        ("UP", 0),
    ):
        console.frame(button, times=2)
        assert console.mode == mode
        console.frame(times=2)
    console.frame("DOWN", times=2)
    console.frame("START")
    assert console.until(lambda v: v["scene"] == 1, "START") == 4
    assert console.mode == 1
    assert console.pieces == 1


def test_mode_a_is_one_fixed_cycle(console):
    console.load("PlayA")
    assert (console.piece_type, console.next_type) == (ORDER[0], ORDER[1])
    assert not console.board().any()
    assert console.pieces == 1
    for n in range(2, 9):
        console.until(lambda v, n=n: v["pieces"] == n or v["game_over"], "DOWN")
        assert console.piece_type == ORDER[(n - 1) % 7]
        assert console.next_type == AFTER[console.piece_type]
    assert sorted(ORDER) == list(range(7))


def xorshift(rng):
    for _ in range(4):
        rng ^= rng << 7 & 0xFFFF
        rng ^= rng >> 9
        rng ^= rng << 8 & 0xFFFF
    return rng


def test_mode_b_draws_from_rng_alone(console):
    def game(seed, held):
        console.load("PlayB", rng=seed)
        assert console.scene == 0
        console.until(lambda v: v["scene"] == 1)
        drawn = [console.piece_type, console.next_type]
        rng = seed or 1
        for kind in drawn:
            rng = xorshift(rng)
            assert kind == rng % 7
        assert console.rng == rng
        while console.pieces < 7 and not console.game_over:
            n = console.pieces
            console.frame("DOWN", *held, times=2)
            if console.pieces != n:
                rng = xorshift(rng)
                drawn.append(console.next_type)
            assert console.rng == rng
            assert console.next_type == drawn[-1]
        return drawn[:7]

    games = [game(seed, ()) for seed in (1, 2, 3, 0xBEEF)]
    assert len({tuple(g) for g in games}) == 4
    assert len({tuple(g[:2]) for g in games}) > 1
    assert game(2, ("LEFT", "A")) == games[1]  # buttons do not matter
    assert game(0, ()) == games[0]  # 0 is no seed


def test_mode_b_is_uniform():
    """The mirror of the ROM's draw, proven equal above."""
    count, pairs, rng = np.zeros(7), np.zeros((7, 7)), 1
    first = np.array([xorshift(s) % 7 for s in range(1, 2001)])
    for _ in range(20000):
        before, rng = rng % 7, xorshift(rng)
        count[rng % 7] += 1
        pairs[before, rng % 7] += 1
    assert abs(count / 20000 - 1 / 7).max() < 0.01
    assert abs(pairs / 20000 - 1 / 49).max() < 0.006
    assert abs(np.bincount(first) / 2000 - 1 / 7).max() < 0.03


# ---- moving -----------------------------------------------------------------


@pytest.mark.parametrize(("button", "step"), [("LEFT", -1), ("RIGHT", 1)])
def test_shift_and_auto_shift(console, button, step):
    console.load("PlayA", next_type=PIECE_I)
    x = console.piece_x
    moved = []
    for n in range(19):
        if console.frame(button)["piece_x"] != x:
            x = console.piece_x
            moved.append(n)
        # frames until it goes on by itself
        assert console.shift == 10 - n if n < 10 else 1 <= console.shift <= 4
    assert moved == [0, 10, 14, 18][: len(moved)]
    assert len(moved) >= 3
    console.frame(button, times=60)
    at_wall = console.piece_x
    console.frame()
    console.frame(button)
    assert console.piece_x == at_wall
    assert at_wall == (0 if step < 0 else 7)


def test_left_and_right_together_do_nothing(console):
    console.load("PlayA")
    console.frame("LEFT", "RIGHT", times=16)
    assert console.where() == (3, 0, 0)


def test_up_and_select_do_nothing(console):
    console.load("PlayA")
    console.frame("UP", "SELECT", times=8)
    console.frame(times=2)
    assert console.where() == (3, 0, 0)
    assert not console.paused


@pytest.mark.parametrize("kind", range(7))
def test_rotation(console, kind):
    turns = len(CELLS[kind])
    for button, step in (("A", 1), ("B", -1)):
        console.load("PlayA", piece_type=kind, redraw=1)
        for n in range(1, 5):
            console.frame(button, times=2)  # held: still one turn
            assert console.where() == (3, 0, n * step % turns)
            console.frame(times=2)


def test_rotation_needs_room(console):
    """No wall kicks: an upright I at the wall stays upright."""
    console.load("PlayA", piece_type=PIECE_I, redraw=1)
    console.frame("A", times=2)
    console.frame("RIGHT", times=40)
    before = console.where()
    assert before[::2] == (7, 1)
    console.frame("A")
    assert console.where()[::2] == before[::2]
    console.frame()
    console.frame("B")
    assert console.where()[::2] == before[::2]


def test_locked_cells_stop_a_shift(console):
    console.load("PlayA", piece_type=PIECE_O)
    console.poke_board("..3....... " * 20)
    console.frame(times=2)
    console.frame("LEFT", times=2)
    assert console.piece_x == 2  # the O covers columns 1 and 2 of its box
    console.frame(times=2)
    console.frame("LEFT", times=2)
    assert console.piece_x == 2


# ---- falling ----------------------------------------------------------------


@pytest.mark.parametrize("level", range(16))
def test_gravity(console, level):
    console.load("PlayA", level=level, gravity=0)
    wanted = max(4, 20 - 2 * level)
    assert console.until(lambda v: v["piece_y"] == 1) == wanted
    assert console.until(lambda v: v["piece_y"] == 2) == wanted


def test_soft_drop(console):
    console.load("PlayA")
    rows = [console.frame("DOWN")["piece_y"] for _ in range(8)]
    assert rows == [1, 1, 2, 2, 3, 3, 4, 4]
    # a drop of one row restarts gravity
    console.frame()
    assert console.until(lambda v: v["piece_y"] == 5) == 18


def test_soft_drop_goes_on_after_a_spawn(console):
    console.load("PlayA")
    console.until(lambda v: v["pieces"] == 2, "DOWN")
    rows = [console.frame("DOWN")["piece_y"] for _ in range(4)]
    assert rows == [0, 1, 1, 2]


def test_auto_shift_goes_on_over_a_spawn(console):
    console.load("PlayA")
    console.until(lambda v: v["phase"] == 1, "DOWN")
    console.frame("RIGHT", times=4)
    assert console.pieces == 2
    assert console.piece_x == 3
    moved = console.until(lambda v: v["piece_x"] == 4, "RIGHT")
    assert moved == 7  # the press was 11 frames ago, the first one at 0


def test_lock_and_entry_delay(console):
    console.load("PlayA")
    console.until(lambda v: v["piece_y"] == 18, "DOWN")
    before = console.where()
    assert not console.board().any()
    n = console.until(lambda v: v["phase"] == 1)
    assert n in (19, 20)  # by gravity, counted from the last row drop
    assert console.where() == before
    assert console.clearing == 4
    picture = console.frame() and console.screen
    board = console.board()
    for dx, dy in CELLS[PIECE_T][0]:
        assert board[18 + dy, 3 + dx] == PIECE_T + 1
    assert (board > 0).sum() == 4
    assert console.until(lambda v: v["pieces"] == 2) == 3
    assert np.array_equal(console.screen, picture)  # visible as locked
    assert (console.where(), console.phase) == ((3, 0, 0), 0)


# ---- lines ------------------------------------------------------------------


def clear(console, rows, **poked):
    """Drops an upright I into column 5 of this many rows with that gap."""
    console.load("PlayA", piece_type=PIECE_I, piece_rot=1, **poked)
    console.poke_board("2.........\n" + "11111.1111\n" * rows)
    console.until(lambda v: v["phase"] == 2, "DOWN")


@pytest.mark.parametrize(("rows", "points"), [(1, 10), (2, 30), (3, 60), (4, 100)])
def test_line_clear(console, rows, points):
    clear(console, rows)
    assert (console.lines_event, console.clearing, console.lines) == (rows, 12, 0)
    assert console.until(lambda v: v["lines"] > 0) == 12
    assert (console.lines, console.score, console.reward) == (rows, points, points)
    assert console.lines_event == 0
    board = np.zeros((20, 10), np.uint8)
    board[19, 0] = PIECE_O + 1
    board[16 + rows :, 5] = PIECE_I + 1  # what remains of the I
    assert np.array_equal(console.board(), board)
    assert console.until(lambda v: v["pieces"] == 2) == 4


def test_split_clear(console):
    """A row that is not full, between full ones, stays and sinks."""
    console.load("PlayA", piece_type=PIECE_I, piece_rot=1)
    console.poke_board("2......... 11111.1111 11111.111. 11111.1111 3333..3333")
    console.until(lambda v: v["lines"] > 0, "DOWN")
    assert console.lines == 2
    board = console.board()
    assert board[19].tolist() == [3, 3, 3, 3, 0, 1, 3, 3, 3, 3]
    assert board[18].tolist() == [1] * 9 + [0]
    assert board[17].tolist() == [2] + [0] * 9
    assert not board[:17].any()


def test_level_is_lines_by_five(console):
    for lines, level in ((1, 1), (3, 1), (6, 2), (71, 15), (99, 15)):
        clear(console, 4, lines=lines)
        console.until(lambda v, lines=lines: v["lines"] > lines)
        assert console.level == level


def test_numbers_saturate(console):
    clear(console, 4, lines=997, score=65500)
    console.until(lambda v: v["phase"] == 1)
    assert (console.lines, console.score, console.level) == (999, 65530, 15)


def test_slowest_frame_is_in_time(console, artist):
    """Four lines under a tall stack, with the digits that take longest."""
    console.load(
        "PlayA", piece_type=PIECE_I, piece_rot=1, piece_y=3, lines=995, score=59899, level=15
    )
    console.poke_board("777.7.7777 " * 12 + "11111.1111 " * 4)
    console.frame(times=3)
    console.poke(lag=0)  # redrawing on a poke may take longer
    before = dict(console.info)
    while console.lines < 999:
        console.frame("DOWN")
        assert np.array_equal(console.screen, artist.draw(before))
        before = dict(console.info)
    assert console.frame()["lag"] == 0
    assert np.array_equal(console.screen, artist.draw(before))
    assert console.score == 59999


# ---- the end and the pause ----------------------------------------------------


@pytest.mark.parametrize("mode", [0, 1])
def test_game_over_and_again(console, mode):
    console.load("HighA", mode=mode)
    console.until(lambda v: v["game_over"], "DOWN")
    assert console.scene == 2
    assert console.done
    board, rng, score = console.board(), console.rng, console.score
    console.frame("A", "DOWN", "LEFT", times=40)
    assert np.array_equal(console.board(), board)
    assert console.score == score
    console.frame("START")
    assert (console.scene, console.game_over, console.mode) == (1, 0, mode)
    assert not console.board().any()
    assert (console.score, console.lines, console.pieces) == (0, 0, 1)
    if mode:
        assert console.rng == xorshift(xorshift(rng))
    else:
        assert (console.piece_type, console.rng) == (ORDER[0], rng)


def test_pause_freezes_and_restores(console):
    console.load("PlayA")
    console.frame("LEFT", times=2)
    console.frame(times=4)
    picture, before = console.screen, dict(console.info)
    console.frame("START", times=2)
    assert console.paused == 1
    frozen = dict(console.info)
    assert frozen["gravity"] == before["gravity"]
    assert not np.array_equal(console.screen, picture)
    assert np.array_equal(console.screen[40:208, 24:104], picture[40:208, 24:104])
    console.frame("LEFT", "DOWN", "A", times=50)
    console.frame(times=2)
    assert dict(console.info, pad=0) == dict(frozen, pad=0)
    console.frame("START", times=2)
    assert console.paused == 0
    assert np.array_equal(console.screen, picture)
    # exactly as many frames to the next row as without the pause
    assert console.until(lambda v: v["piece_y"] == 1) == 20 - before["gravity"] - 2


# ---- start states and the player ------------------------------------------------


def test_start_states(console):
    assert console.load("NearClearA").piece_type == PIECE_I
    assert (console.board()[-4:] == 0).sum() == 4
    for level in range(1, 9):
        console.load(f"Level{level}A")
        assert (console.level, console.lines // 10) == (level, level)
        assert console.until(lambda v: v["piece_y"] == 1) <= 20 - 2 * min(level, 8)
    board = console.load("HighA").board()
    assert board.any(axis=1).sum() >= 14
    assert not board.all(axis=1).any()


@pytest.mark.parametrize(("state", "seed"), [("PlayA", 0), ("PlayB", 5)])
def test_bot_clears_lines(console, state, seed):
    bot = load_module(GAME_DIR / "bot.py").Bot(PIECES)
    console.load(state)
    if seed:
        console.poke(rng=seed)
    rng = np.random.default_rng(0)
    for _step in range(6000):
        info = dict(console.info, board=console.board().ravel())
        console.frame(*bot.act(info, rng), times=2)
        if console.lines >= 10:
            break
    assert console.lines >= 10
    assert console.lag == 0


def test_data_names_agree_with_ram(console):
    console.load("HighA")
    ram = console.env.get_ram()
    assert np.array_equal(ram[1024:1224].reshape(20, 10), console.board())
