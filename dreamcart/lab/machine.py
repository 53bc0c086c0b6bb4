"""What runs compute on."""

import os
import platform
from pathlib import Path

import torch

from dreamcart.training.device import pick_device


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def device() -> str:
    """What runs compute on, in words: a GPU by name, or the CPU and how many cores of it."""
    chosen = pick_device()
    if chosen.type == "cuda":
        return f"GPU: {torch.cuda.get_device_name(chosen)}"
    models = [
        line.split(":")[1].strip()
        for line in _lines("/proc/cpuinfo")
        if line.startswith("model name")
    ]
    return (
        f"{'CPU' if chosen.type == 'cpu' else 'Apple GPU'}:"
        f" {models[0] if models else platform.machine()}, {cores()} cores"
    )


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).is_file() else []
