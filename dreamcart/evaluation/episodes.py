"""The test episodes of a game, recorded where they are not here."""

import tempfile
from dataclasses import replace
from pathlib import Path

from dreamcart.core.files import fingerprint
from dreamcart.core.paths import Paths
from dreamcart.data.collect import record
from dreamcart.data.reader import read_info
from dreamcart.data.recordings import check_same_game
from dreamcart.games.catalog import game_contents, load_game
from dreamcart.params import Params
from dreamcart.world.model import WorldModel


def episodes_for(world: WorldModel, params: Params) -> Path:
    """Return the folder of a game's test episodes: `rollout_eval`'s, else recorded now, beside.

    They are a function of params and the game alone, so both are the same.

    Raises:
        UserError: they are of another game, or the game or its ROM is missing.
    """
    here = Paths(world.spec.name).raw_test
    if not here.exists():
        spec, config = load_game(world.spec.name), params.collect
        plan = config.test_episodes, config.test_steps, params.seed
        planned = fingerprint(game_contents(spec.name), spec.to_dict(), *plan)
        here = here.with_name(f"test_{planned}")
    if not here.exists():
        # there must be episodes for training as well: two of one step
        config = replace(config, frames=1, episode_steps=1)
        with tempfile.TemporaryDirectory() as unwanted:
            record(spec, config, params.seed, Path(unwanted) / "play", here)
    check_same_game(here, read_info(here), world.spec)
    return here
