"""Do the actions matter to the model? What the next true frame costs it under wrong actions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation.control_rollouts import Part
from simulator.evaluation.intervals import mean_interval
from simulator.evaluation.report import Verdict, samples, table
from simulator.evaluation.subject import Rows, Subject
from world_model.families.car import PAST_ACTIONS
from world_model.families.token_world import TokenWorld
from world_model.training.data import evenly
from world_model.training.ego import ego_labels


def likelihood(subject: Subject) -> Part:
    """Cost of the next true frame's tokens under the true and under other drives' actions."""
    import torch
    from torch.nn import functional as F

    drives, checkpoint = subject.drives, subject.checkpoint
    world, quantizer = checkpoint.world, checkpoint.tokenizer.quantizer
    if not isinstance(world, TokenWorld):
        said = "This family doesn't say how likely a frame is: nothing to measure here."
        return Part(
            "likelihood", {}, table("Cost of the next true frame", ("actions", "NLL"), []), said
        )
    rows = evenly(drives.window_ends(PAST_ACTIONS, 1), subject.config.control.likelihood_pairs)
    others = rows[np.random.default_rng(subject.config.seed).permutation(len(rows))]
    nll: dict[str, list[NDArray[np.float64]]] = {"true": [], "shuffled": []}

    def latent(picked: Rows) -> torch.Tensor:
        return checkpoint.tokenizer.latents(torch.from_numpy(drives.frames(picked)))

    def taken(picked: Rows) -> torch.Tensor:
        index = picked[:, None] + np.arange(1 - PAST_ACTIONS, 1)
        return torch.from_numpy(np.nan_to_num(drives.action_NA[index]))

    with torch.no_grad():
        for start in range(0, len(rows), 16):
            part, other = rows[start : start + 16], others[start : start + 16]
            newest, before = (quantizer.encode(latent(part - i)).latent_BChw for i in (0, 1))
            frame = quantizer.encode(latent(part + 1))
            ego = ego_labels(world, drives, part, newest)
            earlier = ego_labels(world, drives, part - 1, before)
            past = world.remember(checkpoint.tokenizer, newest, before, taken(part - 1), earlier)
            targets = torch.cat(frame.targets, 1)
            for name, source in (("true", part), ("shuffled", other)):
                actions = taken(source)
                ahead = world.foresee(checkpoint.tokenizer, past, actions, ego)
                logits = world(quantizer, frame, world.situation(past, ahead, actions, ego))
                each = F.cross_entropy(torch.cat(logits, 1).mT, targets, reduction="none")
                nll[name].append(each.mean(1).double().numpy())
    groups = subject.groups(rows)
    values = {name: np.concatenate(parts) for name, parts in nll.items()}
    gap = mean_interval(values["shuffled"] - values["true"], groups)
    means = {name: mean_interval(v, groups) for name, v in values.items()}
    figures: dict[str, Any] = {name: interval.to_json() for name, interval in means.items()}
    return Part(
        "likelihood",
        figures | {"gap": gap.to_json()},
        table(
            "Cost of the next true frame, nats a token",
            ("actions", "NLL [95 %]"),
            [*((name, str(i)) for name, i in means.items()), ("gap", str(gap))],
        ),
        f"Actions: {gap.n} pairs; shuffled ones come from other moments of the held-out drives. The gap"
        " must be clearly above zero.",
        verdicts=(
            Verdict(
                f"Listening: wrong actions make the next frame dearer by {gap} nats a token.",
                gap.low > 0,
            ),
        ),
        samples=(samples("nll_true_actions", values["true"], groups, rows, better="lower"),),
    )
