"""The transformer: one pass over all scales and scale-by-scale generation say the same."""

from __future__ import annotations

import pytest
import tiny
import torch

from world_model.checkpoint import Checkpoint
from world_model.families.car import PAST_ACTIONS
from world_model.families.config import WorldConfig
from world_model.families.var import Var, cells
from world_model.families.world import PAST_MAPS, Known
from world_model.tokenizer.quantizer import MultiScaleQuantizer, Quantized, QuantizerConfig

BATCH = 3


@pytest.fixture(scope="module")
def inputs(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Past maps, actions and ego state, all at random."""
    torch.manual_seed(1)
    c, (h, w) = tiny.QUANTIZER.channels, tiny.QUANTIZER.scales[-1]
    return {
        "past": torch.randn(BATCH, PAST_MAPS, c, h, w),
        "actions": torch.rand(BATCH, PAST_ACTIONS, 2) * 2 - 1,
        "ego": torch.tensor([10.0, 0.1]) * torch.rand(BATCH, 2),
    }


@pytest.fixture(scope="module")
def tokens() -> list[torch.Tensor]:
    """Any token maps."""
    generator = torch.Generator().manual_seed(2)
    return [
        torch.randint(16, (BATCH, h * w), generator=generator) for h, w in tiny.QUANTIZER.scales
    ]


def given(checkpoint: Checkpoint, tokens: list[torch.Tensor]) -> Quantized:
    """The frame with these tokens."""
    return checkpoint.tokenizer.quantizer.quantized(tokens)


def teacher_forced(checkpoint, inputs, tokens, world=None) -> list[torch.Tensor]:
    world = world or checkpoint.world
    condition = world.told(inputs["actions"], inputs["ego"]).condition_BD
    ahead = foreseen(checkpoint, inputs, world)
    quantizer = checkpoint.tokenizer.quantizer
    return world(quantizer, given(checkpoint, tokens), Known(inputs["past"], ahead, condition))


def foreseen(checkpoint, inputs, world) -> torch.Tensor:
    return world.foresee(
        checkpoint.tokenizer, inputs["past"], inputs["actions"], inputs["ego"]
    ).detach()


def test_one_pass_equals_scale_by_scale_with_kept_keys_and_values(checkpoint, inputs, tokens):
    seen: list[torch.Tensor] = []

    def forced(k: int, logits_BLV: torch.Tensor) -> torch.Tensor:
        seen.append(logits_BLV)
        return tokens[k]

    world = checkpoint.world
    condition = world.told(inputs["actions"], inputs["ego"]).condition_BD
    latent, chosen = world.generate(
        checkpoint.tokenizer.quantizer,
        Known(inputs["past"], foreseen(checkpoint, inputs, world), condition),
        forced,
    )
    logits = teacher_forced(checkpoint, inputs, tokens)
    assert [tuple(x.shape) for x in logits] == [(BATCH, n, 16) for n in (2, 8, 8)]
    for one_pass, stepwise in zip(logits, seen, strict=True):
        torch.testing.assert_close(stepwise, one_pass, atol=1e-4, rtol=0)
    assert all(torch.equal(a, b) for a, b in zip(chosen, tokens, strict=True))
    torch.testing.assert_close(latent, checkpoint.tokenizer.quantizer.decode(tokens))


@pytest.mark.parametrize("changed", [0, 1])
def test_a_scale_sees_itself_and_what_is_coarser_only(checkpoint, inputs, tokens, changed):
    other = [t.clone() for t in tokens]
    other[changed] = (other[changed] + 5) % 16
    logits = teacher_forced(checkpoint, inputs, tokens)
    touched = teacher_forced(checkpoint, inputs, other)
    for k, (a, b) in enumerate(zip(logits, touched, strict=True)):
        # tokens of a scale are an input of the finer ones, never of their own prediction
        assert torch.equal(a, b) == (k <= changed), k


@pytest.mark.parametrize("what", ["past", "actions", "ego"])
def test_every_scale_depends_on_the_past_the_actions_and_the_ego_state(
    checkpoint, inputs, tokens, what
):
    logits = teacher_forced(checkpoint, inputs, tokens)
    changed = inputs | {what: inputs[what].flip(0)}
    touched = teacher_forced(checkpoint, changed, tokens)
    for a, b in zip(logits, touched, strict=True):
        assert (a - b).abs().amax(-1)[0].min() > 1e-4  # every token of the first picture


def test_pictures_of_a_batch_do_not_see_each_other(checkpoint, inputs, tokens):
    logits = teacher_forced(checkpoint, inputs, tokens)
    alone = teacher_forced(
        checkpoint, {k: v[:1] for k, v in inputs.items()}, [t[:1] for t in tokens]
    )
    for a, b in zip(logits, alone, strict=True):
        torch.testing.assert_close(b, a[:1], atol=5e-5, rtol=0)


def test_a_few_steps_teach_it_to_heed_the_action(checkpoint, inputs, tokens):
    torch.manual_seed(0)
    world = Var(tiny.WORLD, tiny.QUANTIZER)
    steers = torch.tensor([-1.0, 0.0, 1.0])
    inputs = {"past": inputs["past"][:1].expand(BATCH, -1, -1, -1, -1)} | {
        "actions": torch.zeros(BATCH, PAST_ACTIONS, 2),
        "ego": torch.zeros(BATCH, 2),
    }
    inputs["actions"][:, -1, 0] = steers  # the newest action alone tells the frames apart
    optimizer = torch.optim.Adam(world.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        logits = teacher_forced(checkpoint, inputs, tokens, world)
        pairs = zip(logits, tokens, strict=True)
        loss = torch.stack(
            [torch.nn.functional.cross_entropy(x.flatten(0, 1), t.flatten()) for x, t in pairs]
        ).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    logits = teacher_forced(checkpoint, inputs, tokens, world)
    mirrored = inputs | {"actions": -inputs["actions"]}
    wrong = teacher_forced(checkpoint, mirrored, tokens, world)
    assert torch.equal(logits[0].argmax(-1), tokens[0])
    assert torch.equal(wrong[0].argmax(-1)[0], tokens[0][2])


def test_one_position_speaks_for_the_cell_it_reads():
    quantizer = QuantizerConfig(heights=(2, 4), vocabulary=8, channels=8)
    torch.manual_seed(0)
    world = Var(WorldConfig(16, 1, 1), quantizer).requires_grad_(False)
    torch.nn.init.normal_(world.logits_fine.weight)
    book = MultiScaleQuantizer(quantizer)
    x, still = torch.zeros(1, 2 * 4, 16), torch.zeros(1, PAST_MAPS, 8, 4, 8)
    silent = world.logits(1, x, still[:, 0], still[:, 0], book)
    for position in range(8):
        loud = x.clone()
        loud[0, position, 0] = 1.0
        spoken = (
            (world.logits(1, loud, still[:, 0], still[:, 0], book) != silent).any(-1).view(4, 8)
        )
        # a map that is set where this position speaks is read at this position alone
        read = cells(spoken.float().view(1, 1, 4, 8))[0]
        assert read[position].tolist() == [1.0] * 4
        assert read.sum() == 4


@pytest.mark.parametrize(
    ("config", "quantizer", "message"),
    [
        ({"width": 30, "heads": 4}, {}, "multiple of the heads"),
        ({"depth": 0}, {}, "positive"),
        ({}, {"heights": (1, 3)}, "multiples of 2"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(config, quantizer, message):
    with pytest.raises(ValueError, match=message):
        Var(WorldConfig(**config), QuantizerConfig(**quantizer))


def test_near_codes_say_which_code_lies_where_the_last_frame_left_it(checkpoint, inputs):
    """With the precision turned up and nothing learned, a world that stands still is expected."""
    quantizer = checkpoint.tokenizer.quantizer
    world = Var(tiny.WORLD, tiny.QUANTIZER).requires_grad_(False)
    still = quantizer.encode(inputs["past"][:, 0])
    past = torch.stack([still.latent_BChw] * PAST_MAPS, 1)
    condition = world.told(inputs["actions"], inputs["ego"]).condition_BD
    silent = world(quantizer, still, Known(past, past[:, 0], condition))
    for near in world.near:
        near.read.bias.view(near.cells, -1)[:, -1] = 3000.0
    logits = world(quantizer, still, Known(past, past[:, 0], condition))
    for k, (token, said, before) in enumerate(zip(still.tokens, logits, silent, strict=True)):
        rest = quantizer.down(past[:, 0] - still.before[k], k).permute(0, 2, 3, 1).flatten(0, 2)
        assert torch.equal(said.argmax(-1).flatten(), quantizer.nearest(rest, k))
        assert not torch.equal(before.argmax(-1), token)  # it isn't so without
    assert torch.equal(logits[-1].argmax(-1), still.tokens[-1])
