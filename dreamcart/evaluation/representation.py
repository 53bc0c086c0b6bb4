"""What a learned representation keeps of the game, beyond its pixel errors: all of the smaller
measures together.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dreamcart.data.processed import Split
from dreamcart.data.variables import ask, load_variables
from dreamcart.evaluation.digits import learn_digits, legibility, read_digits
from dreamcart.evaluation.fidelity import Fidelity
from dreamcart.evaluation.probe import linear_probe, neighbourhood
from dreamcart.representation.base import Representation
from dreamcart.representation.registry import make_representation
from dreamcart.training.device import autocast

TRAIN_SAMPLE, VAL_SAMPLE = 2000, 1000  # states, spread evenly over the distinct frames
BATCH = 64


def measure_representation(
    model: Representation,
    config: dict[str, Any],
    train: Split,
    val: Split,
    median: np.ndarray,
    raw: Path,
) -> dict[str, Any]:
    """Measures of a trained model on at most VAL_SAMPLE distinct validation frames.

    Args:
        config: of the model, for an untrained one of its kind.
        median: uint8 [H, W, C], the median training frame.
        raw: the raw dataset, for its RAM variables.

    Returns:
        sharpness, hue_error, bleeding, and each with _changed: see `fidelity.Fidelity.report`.
        codes_used, perplexity: see `code_use`; for tokens.
        digits, digits_real: `digits.legibility` of the decoded frames, and of the real ones: what
            the reader can do. Absent where the recordings have no such variables.
        probe: `probe.linear_probe`, and probe_accuracy, probe_majority, their means over the
            variables;
        neighbours: `probe.neighbourhood`, and `untrained`, the ratio of a model that has learned
            nothing: alike frames have alike latents there, too. Absent where the recordings have no
            RAM variables.

    Raises:
        UserError: the raw dataset is missing or damaged.
    """
    rows = [
        _spread(len(split.frames), most)
        for split, most in ((train, TRAIN_SAMPLE), (val, VAL_SAMPLE))
    ]
    tables = [
        load_variables(raw, split, some) for split, some in zip((train, val), rows, strict=True)
    ]
    slots = (
        learn_digits(train.frames, rows[0], tables[0]) if set(tables[0]) <= set(tables[1]) else []
    )
    latents, fidelity, reads = [], Fidelity(median), []
    for split, some in zip((train, val), rows, strict=True):
        found = []
        for frames in _batches(split, some):
            told, decoded = _pass(model, frames, decode=split is val)
            found.append(told)
            if decoded is not None:
                fidelity.see(frames, decoded)
                reads.append([read_digits(slots, pictures) for pictures in (decoded, frames)])
        latents.append(np.concatenate(found))
    report: dict[str, Any] = fidelity.report()
    if model.vocabulary:
        report |= code_use(latents[1], model.vocabulary)
    for name, read in zip(("digits", "digits_real"), zip(*reads, strict=True), strict=True):
        score = legibility(slots, tables[1], np.concatenate(read))
        if score is not None:
            report[name] = score
    report = {name: round(value, 6) for name, value in report.items()}
    questions = [question for question in ask(tables[0]) if question.variable in tables[1]]
    if questions:
        probe = linear_probe(questions, (latents[0], tables[0]), (latents[1], tables[1]))
        for name in ("accuracy", "majority"):
            report[f"probe_{name}"] = round(
                float(np.mean([scores[name] for scores in probe.values()])), 6
            )
        plain = untrained(config, median, train, rows[0])
        told = np.concatenate(
            [_pass(plain, frames, decode=False)[0] for frames in _batches(val, rows[1])]
        )
        neighbours = neighbourhood(questions, latents[1], tables[1])
        neighbours["untrained"] = neighbourhood(questions, told, tables[1])["ratio"]
        report |= {"probe": probe, "neighbours": neighbours}
    return report


@torch.no_grad()
def untrained(
    config: dict[str, Any], median: np.ndarray, split: Split, rows: np.ndarray
) -> Representation:
    """A fresh model of this config, its statistics and its codebook those of the split's frames
    `rows`.
    """
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = make_representation(config).train()
        model.set_median(torch.from_numpy(median))
        for frames in _batches(split, rows):
            model.loss(torch.from_numpy(frames))
    return model.eval()


def code_use(tokens: np.ndarray, vocabulary: int) -> dict[str, float]:
    """codes_used: the share of the codes that occur in the tokens (whole numbers of any shape) at
    all.

    perplexity: the exponential of the entropy of their frequencies, in codes: how many equally
    frequent ones would carry as much.
    """
    counts = np.bincount(tokens.ravel(), minlength=vocabulary)
    share = counts[counts > 0] / counts.sum()
    return {
        "codes_used": float((counts > 0).mean()),
        "perplexity": float(np.exp(-(share * np.log(share)).sum())),
    }


def _spread(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(most, count)).astype(int))


def _batches(split: Split, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The split's distinct frames `rows`, uint8 [at most BATCH, H, W, C] each."""
    for first in range(0, len(rows), BATCH):
        yield np.asarray(split.frames[rows[first : first + BATCH]])


@torch.inference_mode()
def _pass(
    model: Representation, frames: np.ndarray, decode: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """The latents of uint8 frames [B, H, W, C], and what is decoded from them."""
    device = next(iter(model.state_dict().values())).device
    with autocast(device):
        latents = model.encode(torch.from_numpy(frames).to(device))
        decoded = model.decode(latents).cpu().numpy() if decode else None
    return latents.cpu().numpy(), decoded
