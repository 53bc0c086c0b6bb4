"""Where a game keeps its random seed, for `record.py new --seed-address`.

It becomes the variable `seed` of data.json and the `seed_variable` of game.yaml: at the beginning
of an episode the emulator writes a value made of the episode's own seed there, so that episodes
differ and each can be made again.
"""

import argparse
from argparse import ArgumentTypeError
from dataclasses import dataclass
from typing import Any

import numpy as np

from dreamcart.core import arguments
from dreamcart.core.errors import UserError, shown
from dreamcart.games.retro import library
from dreamcart.record.machine import Machine
from dreamcart.record.moves import SECOND, random_play

VARIABLE = "seed"
VALUES = 1, 0x5A5A  # two seeds that are compared; both are others in one byte too
PLAYS, STEPS = 3, 5 * SECOND  # random plays in which they are, and steps of each
SECONDS = PLAYS * STEPS // SECOND


@dataclass(frozen=True)
class SeedAddress:
    """A place in RAM: the address as stable-retro counts it, and 1 or 2 bytes."""

    address: int
    bytes: int

    def variable(self, system: str) -> dict[str, Any]:
        """What data.json says of it: bytes in the console's order."""
        types = library().get_system_info(system).get("types", ["<u2"])
        kind = "|u1" if self.bytes == 1 else "<u2" if "<u2" in types else ">u2"
        return {"address": self.address, "type": kind}

    def __str__(self) -> str:
        return f"{self.bytes} byte{'s' * (self.bytes > 1)} at {self.address:#06x}"


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that `of` reads."""
    words = (
        "RAM address of the game's random seed, as stable-retro counts it (790 or 0x316): each"
        " episode then begins with a seed of its own"
    )
    parser.add_argument("--seed-address", type=_address, metavar="ADDRESS", help=words)
    words, size = "that the seed has there", arguments.whole(1, 2)
    parser.add_argument("--seed-bytes", type=size, metavar="N", help=f"{words} (default: 2)")


def of(args: argparse.Namespace) -> SeedAddress | None:
    """Return what the arguments say. Raises UserError for a length without a place."""
    if args.seed_address is None:
        if args.seed_bytes is not None:
            raise UserError("--seed-bytes says how long the seed is; name its --seed-address too.")
        return None
    return SeedAddress(args.seed_address, args.seed_bytes or 2)


def _address(text: str) -> int:
    """A whole number from 0 to 2**32 - 1, also with 0x."""
    try:
        found = int(text, 16 if text[:2].lower() == "0x" else 10)
    except ValueError:
        found = -1
    if not 0 <= found < 2**32 or len(text) > arguments.LONGEST_NUMBER:
        raise ArgumentTypeError(f"{shown(text)} is no address; write a number like 790 or 0x316")
    return found


def check(machine: Machine) -> None:
    """Raise UserError where the integration has a seed at a place that is no RAM of the game."""
    data = machine.env.data
    if VARIABLE not in data.list_variables():
        return
    try:
        data.lookup_value(VARIABLE)
    except IndexError:
        ranges = ", ".join(f"{low:#06x} to {high:#06x}" for low, high in _ranges(machine))
        told = data.get_variable(VARIABLE)
        raise UserError(
            f"--seed-address {told['address']:#06x} is not in this game's RAM, which is"
            f" {ranges or 'unknown'}; correct it."
        ) from None


def acts(machine: Machine, state: bytes, rng: np.random.Generator) -> bool | None:
    """Whether the same buttons show something else with another seed; None where it has none."""
    data = machine.env.data
    if VARIABLE not in data.list_variables():
        return None
    buttons = list(machine.lines)
    for _ in range(PLAYS):
        held, seen = random_play(buttons, STEPS, rng), []
        for value in VALUES:
            machine.restore(state)
            data.update_ram()
            data.set_value(VARIABLE, value)
            digests = []
            for pressed in held:
                machine.step(pressed)
                digests.append(machine.digest)
            seen.append(digests)
        if seen[0] != seen[1]:
            return True
    return False


def _ranges(machine: Machine) -> list[tuple[int, int]]:
    """First and last address of each stretch of RAM."""
    found: list[tuple[int, int]] = []
    for start, block in sorted(machine.env.data.memory.blocks.items()):
        if found and found[-1][1] + 1 == start:
            found[-1] = (found[-1][0], start + len(block) - 1)
        else:
            found.append((start, start + len(block) - 1))
    return found
