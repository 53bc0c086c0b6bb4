"""Dreamcart: a retro game as a neural network that can be played."""

import os

# Before torch starts its threads. Most operations here are tiny, and each waits for all threads:
# one that waits awake keeps the core that another program needs, and waits for the one whose core
# that program holds (benchmarks/busy.py; docs/lab).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Before anything imports huggingface_hub, which looks once: its Xet transfer hides what the Hub
# answers (401, 404, 429) behind connection errors of its own, and a person could not be told what
# to do.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
