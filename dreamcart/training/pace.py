"""How many training steps a number of minutes holds on this machine.

A training by the clock could not be made again: its schedule would follow the machine's load. So
the speed is measured first, on steps that are taken back, and the training that follows has a
fixed number of steps, which its curve ends with and its checkpoints hold.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from time import monotonic

import torch
from torch import nn
from tqdm import tqdm

from dreamcart.core.tensors import load_tensors
from dreamcart.training.loop import Plan, optimizers_for, train_step

WARM, LEAST, SECONDS = 3, 5, 15.0  # steps not timed, steps timed at least, and for how long


def within(
    plan: Plan,
    minutes: float,
    model: nn.Module,
    loss_at: Callable[[int], torch.Tensor],
    checkpoint: Path,
    extra: dict[str, torch.Tensor] | None = None,
    matrices: Iterable[nn.Parameter] = (),
) -> Plan:
    """Return the plan with as many steps as `minutes` hold; as it is where `minutes` is 0.

    A training that goes on from `checkpoint` keeps the number that it began with. Model and `extra`
    are left as they were. The other arguments are those of `fit`.
    """
    if not minutes:
        return plan
    if checkpoint.is_file():
        return replace(plan, steps=int(load_tensors(checkpoint)[1]["steps"]))
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    kept_extra = {name: tensor.clone() for name, tensor in (extra or {}).items()}
    optimizers, done, begun = optimizers_for(model, plan, matrices), 0, 0.0
    with tqdm(desc="measuring the speed", unit="step", leave=False) as bar:
        while done < WARM + LEAST or monotonic() - begun < SECONDS:
            if done == WARM:
                begun = monotonic()
            train_step(model, optimizers, plan, loss_at, done % plan.steps, "measuring the speed")
            done += 1
            bar.update()
    rate = (done - WARM) / (monotonic() - begun)
    model.load_state_dict(kept)
    model.zero_grad(set_to_none=True)
    for name, tensor in (extra or {}).items():
        tensor.copy_(kept_extra[name])
    plan = replace(plan, steps=max(1, round(rate * 60 * minutes)))
    tqdm.write(f"{rate:.2f} steps a second: {plan.steps:,} steps in {minutes:g} minutes.")
    return plan
