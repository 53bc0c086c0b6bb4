"""Makes the start states from the ROM: python make_states.py [OUT_DIR]

The game begins at its title; level, lantern, lives and score are poked, and the life begins anew
there. A state is taken in the first frame in which the player can be moved.
"""

import gzip
import sys
from pathlib import Path

import numpy as np
import stable_retro

HERE = Path(__file__).resolve().parent
GAME = "Emberling-Nes-v0"
# name -> level, lantern (the room of the level), score, lives
STATES = {
    "Level1": (1, 0, 0, 3),
    "Level2": (2, 0, 560, 3),
    "Level3": (3, 0, 1190, 4),
    "Level4": (4, 0, 1720, 4),
    "Level5": (5, 0, 2350, 3),
    "Level6": (6, 0, 2980, 2),
    "Gap1": (1, 1, 60, 3),
    "Shelves1": (1, 2, 110, 3),
    "Pools1": (1, 3, 190, 2),
    "Bats1": (1, 4, 280, 3),
    "Steps1": (1, 5, 350, 2),
    "Spikes1": (1, 6, 440, 3),
    "Goal1": (1, 7, 500, 3),
    "Hops2": (2, 1, 600, 3),
    "Tower2": (2, 3, 730, 2),
    "Pillars2": (2, 5, 890, 3),
    "Tunnel3": (3, 2, 1300, 4),
    "Goal5": (5, 7, 2790, 2),
    "LastLife": (6, 4, 3330, 1),
}


def make():
    """Start the emulator, at power-on."""
    stable_retro.data.Integrations.add_custom_path(str(HERE))
    return stable_retro.make(
        GAME,
        state=stable_retro.State.NONE,
        inttype=stable_retro.data.Integrations.CUSTOM_ONLY,
        use_restricted_actions=stable_retro.Actions.ALL,
        render_mode="rgb_array",
    )


def step(env, *names):
    """Hold these buttons for a frame. Returns the variables after it."""
    held = np.array([b in names for b in env.unwrapped.buttons], np.uint8)
    return env.step(held)[-1]


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
    step(env, "START")
    begun = env.em.get_state()
    for name, (level, lantern, score, lives) in STATES.items():
        env.em.set_state(begun)
        env.data.update_ram()
        values = {"level": level, "lantern": lantern, "score": score, "lives": lives}
        for variable, value in (values | {"restart": 1}).items():
            env.data.set_value(variable, value)
        env.data.set_value("next_life", 1000 * (score // 1000 + 1))
        while step(env)["phase"] == 1:
            pass
        save(name)
    env.close()


if __name__ == "__main__":
    main()
