"""Play the dream (or the game, or both) in a window; or without one, from a list of actions, into a
GIF.

The dream is the model trained here, or, before any training, the game's cart.

python stages/play.py
python stages/play.py --menu
python stages/play.py --headless --actions "LEFT*5 .*60 A DOWN*20" --gif dream.gif
python stages/play.py --side-by-side
"""

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from dreamcart.core.arguments import (
    SCALE,
    SEED,
    Parser,
    add_force,
    game,
    new_file,
    number,
    text,
    whole,
)
from dreamcart.core.errors import UserError, run_stage
from dreamcart.core.paths import ROOT, Paths
from dreamcart.core.tracked import spare
from dreamcart.games.action_lists import MAX_STEPS, parse_actions
from dreamcart.games.catalog import load_game
from dreamcart.params import load_params
from dreamcart.play.library import Title, find, titles
from dreamcart.play.loop import Script, run
from dreamcart.play.menu import choose
from dreamcart.play.sources import WARMEST, Dream, Real, SideBySide
from dreamcart.training.device import pick_device
from dreamcart.world.cart import carts
from dreamcart.world.cart_source import cart_path


def parser() -> Parser:
    made = Parser(description=__doc__)
    made.add_argument("--game", type=game, help="which game (default: `game` in params.yaml)")
    words = (
        "play this cart: a file, or hf://OWNER/REPO/FILE.cart[@REVISION] on the Hugging Face Hub"
    )
    made.add_argument("--cart", type=text, help=words)
    words = "choose from thumbnails of all dreams that are here"
    made.add_argument("--menu", action="store_true", help=words)
    made.add_argument("--list", action="store_true", help="print the dreams that are here")
    words = "start state (default: the game's first)"
    made.add_argument("--start", type=text, metavar="STATE", help=words)
    shown = made.add_mutually_exclusive_group()
    shown.add_argument("--real", action="store_true", help="play the emulator instead of the dream")
    shown.add_argument("--side-by-side", action="store_true", help="real | dream | overlay")
    words = "no window; needs --actions or --frames"
    made.add_argument("--headless", action="store_true", help=words)
    words = "text or file: LEFT+A*5 is both held for five steps, . is nothing"
    made.add_argument("--actions", default="", help=words)
    made.add_argument(
        "--frames",
        type=whole(1, MAX_STEPS),
        metavar="N",
        help="steps to play headless; actions end early or go on with nothing pressed",
    )
    words = "save what was played as a GIF"
    made.add_argument("--gif", type=new_file(".gif"), metavar="FILE", help=words)
    add_force(made)
    words = "enlarge the window's picture N times"
    made.add_argument("--scale", type=whole(*SCALE), metavar="N", help=words)
    words = "seed of random events"
    made.add_argument("--seed", type=whole(*SEED), default=0, metavar="N", help=words)
    made.add_argument(
        "--temperature",
        type=number(0, WARMEST),
        metavar="T",
        help=(
            "0: what the model thinks likeliest; 1 (default where the game is random): drawn by its"
            " probabilities where it is less than 95 %% sure, so that what is rarer than one time"
            " in twenty stays out; [ and ] change it in play"
        ),
    )
    return made


def main() -> None:
    args = parser().parse_args()
    params = load_params()
    if args.list:
        for title in titles():
            print(title.label)
        return
    if (args.actions or args.frames) and not args.headless:
        raise UserError(
            "--actions and --frames play by themselves, which needs --headless; in a window you"
            " play."
        )
    if args.menu and args.headless:
        raise UserError(
            "--menu is a window to choose in; leave --headless out, or name the game with --game."
        )
    if args.game and args.cart:
        raise UserError("--cart plays the game that the cart holds; leave --game out.")
    if args.gif:
        spare(args.gif, args.force)
    cart = cart_path(args.cart) if args.cart else None
    title = Title(cart.stem, cart) if cart else None
    if args.menu:
        title = choose(titles())
        if title is None:
            return
    while play(args, title, args.game or params.game):
        args.start = args.temperature = None  # they were meant for the first game
        title = choose(titles())
        if title is None:
            return


def play(args: argparse.Namespace, title: Title | None, game: str) -> bool:
    """One session. Returns whether the player asked for the menu."""
    if args.real:
        if args.temperature is not None:
            raise UserError(
                "--real plays the emulator itself, which has no --temperature; leave one of them"
                " out."
            )
        source = Real(
            load_game(title.load(pick_device()).spec.name if title else game), args.start, args.seed
        )
    else:
        title = title or find(game)
        source = Dream(title.load(pick_device()), args.start, args.temperature, args.seed)
        print(f"Dreaming {title.label}.")
        if title.cart is None and title.game in carts():
            print(
                "The cart of this game: python stages/play.py --cart"
                f" {carts()[title.game].relative_to(ROOT)}"
            )
        if args.side_by_side:
            source = SideBySide(
                Real(source.spec, source.start_name, args.seed, source.seen_as), source
            )
    menu = False
    actions = parse_actions(args.actions, source.spec)
    if args.headless:
        frames = args.frames or len(actions)
        if frames < 1:
            raise UserError(
                "--headless needs --actions or --frames, to know what to play and when to stop."
            )
        steps = itertools.islice(itertools.chain(actions, itertools.repeat(set())), frames)
        print(run(source, Script(steps, frames), gif=args.gif).sentence())
    else:
        from dreamcart.play.window import Window

        height, width = source.reset().shape[:2]
        window = Window(source.spec, width, height, f"Dreamcart: {source.spec.title}", args.scale)
        try:
            report = run(source, window, gif=args.gif, clips=Paths(source.spec.name).clips)
            print(report.sentence())
            menu = report.menu
        finally:
            window.close()
    if args.gif:
        print(f"saved {args.gif}")
    return menu


if __name__ == "__main__":
    run_stage(main)
