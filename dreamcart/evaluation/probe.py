"""What can be told of the game from latents alone: a linear probe, and whether alike states have
alike latents.

The probe is a ridge regression from latents (Alain & Bengio 2016), tokens one-hot in every cell,
onto the one-hot answers to the questions of `data.variables`, fitted on training states and scored
on validation states. It is solved in its dual form: with 840 cells of 1,000 codes there are far
more weights than states, and only how alike two states' latents are matters, which for one-hot
tokens is the number of cells in which they agree.
"""

from typing import Any

import numpy as np
import torch

from dreamcart.data.variables import Question, Table

RIDGE = 0.01  # of the mean of the kernel's diagonal


def alikeness(left: np.ndarray, right: np.ndarray) -> torch.Tensor:
    """float32 [N, M]: inner products of latents [N, ...] and [M, ...], a mean over their numbers.

    For tokens (whole numbers), the share of the cells that are equal: the product of their one-hot
    vectors.
    """
    left, right = (x.reshape(len(x), -1) for x in (left, right))
    if left.dtype.kind == "f":
        return torch.from_numpy(left @ right.T / left.shape[1])
    other = torch.from_numpy(right)
    return torch.stack([(other == row).sum(1) for row in torch.from_numpy(left)]) / left.shape[1]


def linear_probe(
    questions: list[Question], train: tuple[np.ndarray, Table], val: tuple[np.ndarray, Table]
) -> dict[str, dict[str, float]]:
    """How well each RAM variable is told from latents.

    Args:
        train, val: latents [N, *latent_shape] and the RAM variables of their states.

    Returns:
        {variable: {"accuracy", "majority"}}: the share of right answers, a mean over the variable's
            entries and digits, and that of always giving the answer commonest in training. Answers
            that training does not know count as wrong.
    """
    wanted = [question.answers(train[1]) for question in questions]
    target = torch.from_numpy(
        np.concatenate(
            [
                a[:, None] == np.arange(len(q.values))
                for a, q in zip(wanted, questions, strict=True)
            ],
            1,
        )
    ).float()
    kernel, across = alikeness(train[0], train[0]), alikeness(val[0], train[0])
    middle = kernel.mean(0)
    # as if the features had mean zero
    across = across - across.mean(1, keepdim=True) - middle + middle.mean()
    kernel = kernel - middle - kernel.mean(1, keepdim=True) + middle.mean()
    kernel += torch.eye(len(kernel)) * (RIDGE * kernel.diagonal().mean() + 1e-6)
    mean = target.mean(0)
    told = (across @ torch.linalg.solve(kernel, target - mean) + mean).split(
        [len(q.values) for q in questions], 1
    )
    scores: dict[str, list[tuple[float, float]]] = {}
    for question, seen, guess in zip(questions, wanted, told, strict=True):
        true = question.answers(val[1])
        commonest = np.bincount(seen[seen >= 0]).argmax()
        right = guess.argmax(1).numpy() == true
        scores.setdefault(question.variable, []).append(
            (float(right.mean()), float((true == commonest).mean()))
        )
    return {
        name: dict(zip(("accuracy", "majority"), np.mean(rows, 0).round(6).tolist(), strict=True))
        for name, rows in scores.items()
    }


def neighbourhood(questions: list[Question], latents: np.ndarray, table: Table) -> dict[str, Any]:
    """Whether states that are alike have latents that are alike, over N states.

    How far two states are apart is the share of the questions that they answer differently; two
    latents, the share of the cells whose tokens differ, or the root mean square of the difference
    of real numbers.

    Returns:
        near: mean distance of a state's latent to that of the state nearest to it (the first of
            equally near ones);
        far: mean distance between the latents of all pairs; ratio: near / far, 0 to about 1, lower
            is better.
    """
    answers = np.stack([question.answers(table) for question in questions], 1)
    states = alikeness(answers, answers)
    states.fill_diagonal_(-1)
    nearest = states.argmax(1)
    apart = alikeness(latents, latents)
    if latents.dtype.kind == "f":
        length = apart.diagonal()
        apart = (length[:, None] + length - 2 * apart).clamp(min=0).sqrt()
    else:
        apart = 1 - apart
    near = float(apart[torch.arange(len(apart)), nearest].mean())
    far = float(apart.sum() / (len(apart) * (len(apart) - 1)))
    return {
        "near": round(near, 6),
        "far": round(far, 6),
        "ratio": round(near / far, 6) if far else None,
    }
