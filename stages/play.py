"""Play the dream (or the game, or both) in a window; or without one, from a list of actions, into a GIF.

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

from dreamcart.cart import carts
from dreamcart.cart_source import cart_path
from dreamcart.config import load_params
from dreamcart.errors import ROOT, UserError, run_stage
from dreamcart.games.catalog import load_game
from dreamcart.hardware import pick_device
from dreamcart.play.actions import parse_actions
from dreamcart.play.library import Title, find, titles
from dreamcart.play.loop import Script, run
from dreamcart.play.menu import choose
from dreamcart.play.sources import Dream, Real, SideBySide


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--game", help="which game (default: `game` in params.yaml)")
    parser.add_argument("--cart", help="play this cart: a file, or hf://OWNER/REPO/FILE.cart[@REVISION] on the Hugging Face Hub")
    parser.add_argument("--menu", action="store_true", help="choose from thumbnails of all dreams that are here")
    parser.add_argument("--list", action="store_true", help="print the dreams that are here")
    parser.add_argument("--start", help="start state (default: the game's first)")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--real", action="store_true", help="play the emulator instead of the dream")
    shown.add_argument("--side-by-side", action="store_true", help="real | dream | overlay")
    parser.add_argument("--headless", action="store_true", help="no window; needs --actions or --frames")
    parser.add_argument("--actions", default="", help="text or file: LEFT+A*5 is both held for five steps, . is nothing")
    parser.add_argument("--frames", type=int, help="steps to play headless (actions end early or go on with nothing pressed)")
    parser.add_argument("--gif", type=Path, help="save what was played as a GIF")
    parser.add_argument("--scale", type=int, help="whole-number enlargement of the window's picture")
    parser.add_argument("--seed", type=int, default=0, help="seed of random events, 0 to 2147483647")
    parser.add_argument(
        "--temperature",
        type=float,
        help="0: what the model thinks likeliest; 1 (default where the game is random): drawn by its probabilities where it is "
        "less than 90 %% sure, so that what is rarer than one time in ten stays out; [ and ] change it in play",
    )
    return parser.parse_args()


def main() -> None:
    args = arguments()
    params = load_params()
    if args.list:
        for title in titles():
            print(title.label)
        return
    if (args.actions or args.frames) and not args.headless:
        raise UserError("--actions and --frames play by themselves, which needs --headless; in a window you play.")
    if args.menu and args.headless:
        raise UserError("--menu is a window to choose in; leave --headless out, or name the game with --game.")
    if not 0 <= args.seed < 2**31:
        raise UserError(f"--seed is {args.seed}; allowed: 0 to {2**31 - 1}.")
    if args.game and args.cart:
        raise UserError("--cart plays the game that the cart holds; leave --game out.")
    if args.gif:
        if args.gif.is_dir():
            raise UserError(f"--gif {args.gif} is a folder; give the name of a file in it, such as {args.gif / 'dream.gif'}.")
        args.gif.parent.mkdir(parents=True, exist_ok=True)  # what cannot be saved is said before play, not after it
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
            raise UserError("--real plays the emulator itself, which has no --temperature; leave one of them out.")
        source = Real(load_game(title.load(pick_device()).spec.name if title else game), args.start, args.seed)
    else:
        title = title or find(game)
        source = Dream(title.load(pick_device()), args.start, args.temperature, args.seed)
        print(f"Dreaming {title.label}.")
        if title.cart is None and title.game in carts():
            print(f"The cart of this game: python stages/play.py --cart {carts()[title.game].relative_to(ROOT)}")
        if args.side_by_side:
            source = SideBySide(Real(source.spec, source.start_name, args.seed, source.seen_as), source)
    menu = False
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
            report = run(source, window, gif=args.gif, clips=ROOT / "plots" / source.spec.name / "clips")
            print(report.sentence())
            menu = report.menu
        finally:
            window.close()
    if args.gif:
        print(f"saved {args.gif}")
    return menu


if __name__ == "__main__":
    run_stage(main)
