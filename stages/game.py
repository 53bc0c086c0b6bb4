"""Stage 0: look up the game, so that the stages after it depend on this game alone and not on all
of games/.

python -m stages.game  →  data/<game>/game.json (what recordings depend on),
                          data/<game>/reader.json (what judges dreams: reader*.py)
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import from_params
from dreamcart.core.errors import run_stage
from dreamcart.core.files import write_json
from dreamcart.core.paths import Paths
from dreamcart.games.catalog import game_contents, load_game
from dreamcart.params import load_params


def main() -> None:
    params = load_params()
    paths = Paths(params.game)
    spec, contents = load_game(params.game), game_contents(params.game)
    reader = {
        name: contents.pop(name) for name in list(contents) if Path(name).name.startswith("reader")
    }
    # no recording depends on keys
    told = {name: value for name, value in spec.to_dict().items() if name != "keys"}
    write_json(paths.spec, {"spec": told, "contents": contents})
    write_json(paths.reader, reader)
    print(
        f"{spec.title}: {spec.env}, buttons {', '.join(spec.buttons)}, {spec.step_rate:g} steps a"
        " second"
    )


if __name__ == "__main__":
    run_stage(from_params(main, __doc__))
