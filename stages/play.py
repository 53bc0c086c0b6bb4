"""Play the dream (or the game, or both) in a window; or without one, from a list of actions, into a GIF.

python stages/play.py
python stages/play.py --headless --actions "LEFT*5 .*60 A DOWN*20" --gif dream.gif
python stages/play.py --side-by-side
"""

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.config import load_params
from dreamcart.errors import ROOT, UserError, run_stage
from dreamcart.games.spec import load_game
from dreamcart.hardware import pick_device
from dreamcart.paths import Paths
from dreamcart.play.actions import parse_actions
from dreamcart.play.loop import Script, run
from dreamcart.play.sources import Dream, Real, SideBySide
from dreamcart.world_model import load_world


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", help="which game (default: `game` in params.yaml)")
    parser.add_argument("--start", help="start state (default: the game's first)")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--real", action="store_true", help="play the emulator instead of the dream")
    shown.add_argument("--side-by-side", action="store_true", help="real | dream | overlay")
    parser.add_argument("--headless", action="store_true", help="no window; needs --actions or --frames")
    parser.add_argument("--actions", default="", help="text or file: LEFT+A*5 is both held for five steps, . is nothing")
    parser.add_argument("--frames", type=int, help="steps to play headless (actions end early or go on with nothing pressed)")
    parser.add_argument("--gif", type=Path, help="save what was played as a GIF")
    parser.add_argument("--scale", type=int, help="whole-number enlargement of the window's picture")
    parser.add_argument("--seed", type=int, default=0, help="seed of the emulator's random events")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    params = load_params()
    game = args.game or params.game
    if args.real:
        source = Real(load_game(game), args.start, args.seed)
    else:
        source = Dream(load_world(Paths(game).models, pick_device()), args.start)
        if args.side_by_side:
            source = SideBySide(Real(source.spec, source.start_name, args.seed, params.preprocess), source)
    actions = parse_actions(args.actions, source.spec)
    if args.headless:
        frames = args.frames or len(actions)
        if frames < 1:
            raise UserError("--headless needs --actions or --frames, to know what to play and when to stop.")
        steps = itertools.islice(itertools.chain(actions, itertools.repeat(set())), frames)
        print(run(source, Script(steps, frames), gif=args.gif).sentence())
    else:
        from dreamcart.play.window import Window

        height, width = source.reset().shape[:2]
        window = Window(source.spec, width, height, f"Dreamcart: {source.spec.title}", args.scale)
        try:
            print(run(source, window, gif=args.gif, clips=ROOT / "plots" / game / "clips").sentence())
        finally:
            window.close()
    if args.gif:
        print(f"saved {args.gif}")


if __name__ == "__main__":
    run_stage(main)
