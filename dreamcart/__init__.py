"""Dreamcart: a retro game as a neural network that can be played."""

import os

# Before anything imports huggingface_hub, which looks once: its Xet transfer hides what the Hub answers (401, 404, 429) behind
# connection errors of its own, and a person could not be told what to do.
os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
