"""Makes the start states from the ROM: python make_states.py [OUT_DIR]

A state is taken right after the frame whose logic drew the first pieces or
registered START. reset() runs one frame, so that an agent's first frame of
two is the one in which timers, all even, come due.
"""

import gzip
import json
import sys
from pathlib import Path

import numpy as np
import stable_retro

HERE = Path(__file__).resolve().parent
GAME = "Blockfall-Nes-v0"
PIECES = json.loads((HERE / "pieces.json").read_text())

# "." is empty, a digit is a cell value (piece type + 1). Rows end at row 19.
HIGH = """
3.......5.
3..1....55
33.1..2255
4..1..22.5
4..1...66.
44.17...66
5..77.333.
55.7...3.4
222.11114.
22.44.3344
6..4.333.5
66.4..7..5
.6.4.77.55
22.3.7.1.2
22333..122
"""
NEAR_CLEAR = """
...4......
.444..66..
22333.166.
227335512.
111177664.
444557661.
225533311.
225443331.
"""
SCORES = 270, 380, 500, 790, 900, 1040, 1310, 1450


def make():
    stable_retro.data.Integrations.add_custom_path(str(HERE))
    return stable_retro.make(
        GAME,
        state=stable_retro.State.NONE,
        inttype=stable_retro.data.Integrations.CUSTOM_ONLY,
        use_restricted_actions=stable_retro.Actions.ALL,
        render_mode="rgb_array",
    )


def step(env, *names):
    held = np.array([b in names for b in env.unwrapped.buttons], np.uint8)
    return env.step(held)


def poke(env, board="", **values):
    """Sets RAM, has the ROM redraw from it, and waits until it is seen."""
    rows = board.split()
    for y, row in enumerate(rows, start=20 - len(rows)):
        assert len(row) == 10, row
        assert "." in row, row
        for x, cell in enumerate(row):
            env.data.set_value(f"board_{y * 10 + x:03d}", 0 if cell == "." else int(cell))
    for name, value in values.items():
        env.data.set_value(name, value)
    env.data.set_value("redraw", 1)
    for _ in range(4):
        step(env)
    env.data.set_value("gravity", 0)


def main():
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / GAME
    env = make()
    env.reset()

    def save(name):
        # mtime 0 keeps the bytes the same from run to run
        (out / (name + ".state")).write_bytes(gzip.compress(env.em.get_state(), 9, mtime=0))

    for _ in range(10):
        step(env)
    save("Title")
    title = env.em.get_state()

    step(env, "START")
    for _ in range(4):
        step(env)
    save("PlayA")
    play = env.em.get_state()

    def restart(state):
        env.em.set_state(state)
        env.data.update_ram()

    restart(title)
    step(env, "DOWN")
    step(env)
    step(env, "START")
    save("PlayB")  # four frames before the first two pieces are drawn

    restart(play)
    poke(env, HIGH)
    save("HighA")
    restart(play)
    names, order = PIECES["names"], PIECES["mode_a_order"]
    following = order[(order.index("I") + 1) % 7]
    poke(env, NEAR_CLEAR, piece_type=names.index("I"), next_type=names.index(following))
    save("NearClearA")
    for level in range(1, 9):  # lines and score such as play has by then
        restart(play)
        board = NEAR_CLEAR if level % 2 else ""
        poke(env, board, level=level, lines=10 * level + (7 * level) % 10, score=SCORES[level - 1])
        save(f"Level{level}A")
    env.close()


if __name__ == "__main__":
    main()
