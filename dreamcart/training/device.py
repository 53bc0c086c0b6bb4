"""Which device and which precision: the best that this machine has, the same for training and for
play.
"""

import contextlib
import ctypes
import os
import sys

import torch

from dreamcart.core.errors import UserError

# numbers of settings in glibc's malloc.h
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LARGEST = 32 * 2**20  # bytes: the largest threshold that glibc takes


def pick_device() -> torch.device:
    """CUDA, else Apple's MPS, else the CPU; DREAMCART_DEVICE overrides ("cpu", "cuda:1", …)."""
    name = os.environ.get("DREAMCART_DEVICE")
    if not name:
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        # an unknown word; a device that is not here, or a torch made without it
        raise UserError(
            f"DREAMCART_DEVICE is {name!r}, which cannot be used here; say cpu, cuda, cuda:1 or"
            " mps."
        ) from None
    return device


def autocast(device: torch.device) -> contextlib.AbstractContextManager:
    """bfloat16 where the hardware multiplies in it (2–5x faster there), nothing where it would be
    emulated.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        return torch.autocast("cuda", torch.bfloat16)
    if device.type == "cpu" and (
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    ):
        return torch.autocast("cpu", torch.bfloat16)
    return contextlib.nullcontext()


def make_repeatable(seed: int) -> None:
    """Same seed, same numbers, on the same machine; call it before anything else of torch.

    It also makes the CPU round the tiniest numbers to zero: averages that fade (AdamW's of a button
    that is hardly ever pressed) would otherwise slow training down fourfold after some hundred
    steps.
    """
    torch.set_flush_denormal(True)  # inherited by the threads that torch starts later
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # a safety net of torch that costs a tenth of the time
    torch.utils.deterministic.fill_uninitialized_memory = False


def keep_memory() -> None:
    """Make Linux's C library keep the memory of freed tensors for the next ones, instead of giving
    it back and fetching new pages for each tensor of a few megabytes, which costs more than most of
    what is computed in them. For training, where one step is like the next; where sizes change, as
    in an evaluation, what is kept only adds up.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if hasattr(libc, "mallopt"):  # musl has none
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST)
