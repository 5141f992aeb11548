"""The families: what a cell may know, that two ways of drawing agree, and that all of them drive."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from test_engine import actions, assert_equal_outputs, context, drive

from world_model.checkpoint import Checkpoint, CheckpointError, load, save
from world_model.engine.eager import EagerEngine
from world_model.engine.export import export
from world_model.families import FAMILIES, cells, make_world
from world_model.families.car import PAST_ACTIONS
from world_model.families.dit import Dit
from world_model.families.nar import Nar
from world_model.families.world import PAST_MAPS, Known
from world_model.tokenizer.quantizer import Quantized, QuantizerConfig

BATCH = 2
CELLWISE = ("raster", "nar")
CELLS = [(row, column) for row in range(2) for column in range(4)]


@pytest.fixture(scope="module", params=list(FAMILIES))
def any_family(request: pytest.FixtureRequest) -> Checkpoint:
    """An untrained model of each family."""
    return tiny.random_checkpoint(size=tiny.SEEING, family=request.param)


@pytest.fixture(scope="module", params=CELLWISE)
def cellwise(request: pytest.FixtureRequest) -> Checkpoint:
    """An untrained model of each family that draws cell by cell."""
    return tiny.random_checkpoint(family=request.param)


class Forced:
    """A `DreamChance` that says given tokens, whatever the odds, and keeps the odds."""

    free_B = torch.zeros(BATCH, dtype=torch.bool)

    def __init__(self, tokens_KBL: torch.Tensor, order: list[int]) -> None:
        self.tokens, self.order = tokens_KBL, order
        self.again()

    def again(self) -> None:
        self.heard: list[list[torch.Tensor]] = [[] for _ in self.tokens]

    def __call__(self, k: int, logits_BLV: torch.Tensor) -> torch.Tensor:
        begin = sum(part.shape[1] for part in self.heard[k])
        self.heard[k].append(logits_BLV)
        return self.tokens[k][:, self.order[begin : begin + logits_BLV.shape[1]]]

    def normal(self, count: int) -> torch.Tensor:
        raise AssertionError("nothing here is normal")


def inputs(checkpoint: Checkpoint) -> Known:
    """Past maps, what was foreseen and the conditioning, at random."""
    generator = torch.Generator().manual_seed(1)

    def some(*size: int) -> torch.Tensor:
        return torch.randn(BATCH, *size, generator=generator)

    world = checkpoint.world
    condition = world.told(some(PAST_ACTIONS, 2).tanh(), some(2).abs()).condition_BD
    return Known(some(PAST_MAPS, 8, 2, 4), some(8, 2, 4), condition)


def frame_of(checkpoint: Checkpoint, tokens_KBL: torch.Tensor) -> Quantized:
    """The frame with these tokens."""
    return checkpoint.tokenizer.quantizer.quantized(list(tokens_KBL))


def some_tokens(seed: int = 0) -> torch.Tensor:
    return torch.randint(16, (2, BATCH, 8), generator=torch.Generator().manual_seed(seed))


def drawing_order(checkpoint: Checkpoint) -> list[int]:
    """Cells in the order in which the family draws them."""
    if checkpoint.config.family == "raster":
        return list(range(8))
    return sorted(range(8), key=lambda n: (sum(CELLS[n]), CELLS[n][0]))


def comes_before(checkpoint: Checkpoint, one: int, other: int) -> bool:
    """Whether a cell may know of another when it is drawn."""
    if checkpoint.config.family == "raster":
        return one < other
    return sum(CELLS[one]) < sum(CELLS[other])


def test_one_pass_equals_cell_by_cell_with_kept_keys_and_values(cellwise):
    known = inputs(cellwise)
    tokens, order = some_tokens(), drawing_order(cellwise)
    quantizer, chance = cellwise.tokenizer.quantizer, Forced(tokens, order)
    latent, chosen = cellwise.world.generate(quantizer, known, chance)
    together = cellwise.world(quantizer, frame_of(cellwise, tokens), known)
    for k, logits in enumerate(together):
        assert logits.shape == (BATCH, 8, 16)
        apart = torch.cat(chance.heard[k], 1)
        torch.testing.assert_close(apart, logits[:, order], atol=1e-4, rtol=0)
        assert torch.equal(chosen[k], tokens[k])
    torch.testing.assert_close(latent, quantizer.decode(list(tokens)))


def test_the_passes_are_as_many_as_the_papers_say(cellwise):
    known = inputs(cellwise)
    chance = Forced(some_tokens(), drawing_order(cellwise))
    cellwise.world.generate(cellwise.tokenizer.quantizer, known, chance)
    passes = {"raster": 2 * 4, "nar": 2 + 4 - 1}[cellwise.config.family]
    assert [len(parts) for parts in chance.heard] == [passes, passes]


@pytest.mark.parametrize("changed", [0, 2, 5])
def test_a_cell_knows_those_before_it_and_no_others(cellwise, changed):
    known = inputs(cellwise)
    quantizer = cellwise.tokenizer.quantizer
    tokens = some_tokens()
    for depth in (0, 1):
        other = tokens.clone()
        other[depth, :, changed] = (other[depth, :, changed] + 5) % 16
        one, two = (
            cellwise.world(quantizer, frame_of(cellwise, t), known) for t in (tokens, other)
        )
        for k in (0, 1):
            differs = (one[k] - two[k]).abs().amax((0, 2)) > 1e-6
            for cell in range(8):
                deeper = cell == changed and k > depth  # its second token knows its first
                assert bool(differs[cell]) == (comes_before(cellwise, changed, cell) or deeper)


def test_a_training_dream_of_sure_cells_is_the_true_frame(cellwise):
    """One pass with the truth before each cell: where the truth is drawn, both ways meet."""
    known = inputs(cellwise)
    tokens = some_tokens()
    frame = frame_of(cellwise, tokens)
    drawn = cellwise.world.dream(
        cellwise.tokenizer.quantizer, frame, known, Forced(tokens, list(range(8)))
    )
    torch.testing.assert_close(drawn, frame.latent_BChw)


class Likeliest:
    """A `DreamChance` without chance: the likeliest token. The first dream is free, the other one isn't."""

    free_B = torch.tensor([True, False])

    def again(self) -> None: ...

    def __call__(self, k: int, logits_BLV: torch.Tensor) -> torch.Tensor:
        return logits_BLV.argmax(2)

    def normal(self, count: int) -> torch.Tensor:
        raise AssertionError("nothing here is normal")


def test_a_free_training_dream_knows_nothing_of_the_truth(cellwise):
    known, quantizer = inputs(cellwise), cellwise.tokenizer.quantizer
    one, other = (
        cellwise.world.dream(quantizer, frame_of(cellwise, some_tokens(seed)), known, Likeliest())
        for seed in (0, 1)
    )
    assert torch.equal(one[0], other[0])
    assert not torch.equal(one[1], other[1])


def test_drawn_often_enough_a_free_training_dream_is_what_the_family_draws(cellwise, monkeypatch):
    known, quantizer = inputs(cellwise), cellwise.tokenizer.quantizer
    monkeypatch.setattr(cells, "DRAWN_AGAIN", 8)  # as many as cells
    truth = frame_of(cellwise, some_tokens())
    dreamed = cellwise.world.dream(quantizer, truth, known, Likeliest())
    drawn, _ = cellwise.world.generate(quantizer, known, Likeliest())
    torch.testing.assert_close(dreamed[0], drawn[0])


def test_flat_maps_are_asked_for():
    for quantizer in (tiny.QUANTIZER, QuantizerConfig(heights=(2, 2), vocabulary=16, channels=8)):
        with pytest.raises(ValueError, match="dreamlane train codes"):
            Nar(tiny.WORLD, quantizer)
    with pytest.raises(ValueError, match="family 'gan' is unknown; known: var, raster, nar, dit"):
        make_world("gan", tiny.WORLD, tiny.QUANTIZER)


def test_flow_learns_a_change_in_many_steps_and_in_one():
    """Frames that are what was foreseen plus one of two patterns, told apart by the action alone."""
    checkpoint = tiny.random_checkpoint(family="dit")
    torch.manual_seed(0)
    world = Dit(tiny.WORLD, tiny.QUANTIZER)
    quantizer = checkpoint.tokenizer.quantizer
    generator = torch.Generator().manual_seed(0)
    pattern = 0.5 * torch.randn(1, 8, 2, 4, generator=generator)
    steer = torch.tensor([-1.0, 1.0]).repeat(16)
    ahead = torch.zeros(32, 8, 2, 4)
    aim = steer.view(-1, 1, 1, 1) * pattern
    past = torch.zeros(32, PAST_MAPS, 8, 2, 4)
    taken = torch.zeros(32, PAST_ACTIONS, 2)
    taken[:, -1, 0] = steer
    world.get_ready(lambda: (aim, ahead))
    frame = quantizer.encode(aim)
    optimizer = torch.optim.Adam(world.parameters(), 1e-2)
    for _ in range(400):
        condition = world.told(taken, torch.zeros(32, 2)).condition_BD
        parts = world.losses(quantizer, frame, aim, Known(past, ahead, condition), None, generator)
        optimizer.zero_grad()
        torch.stack(parts).sum().backward()
        optimizer.step()

    class Noise:
        def normal(self, count: int) -> torch.Tensor:
            return torch.randn(32, count, generator=torch.Generator().manual_seed(3))

    # on its way through the quantizer the change would be lost in coarse random codes
    for steps in (1, 4, 20):
        world.steps = steps
        with torch.no_grad():
            drawn = world.flow(Known(past, ahead, condition), Noise())
        missed = (drawn - aim).square().mean() / aim.square().mean()
        assert missed < 0.3, (steps, float(missed))


def test_every_family_drives_by_the_four_verbs(any_family):
    engine = EagerEngine(any_family, BATCH, "cpu")
    engine.reset(*context(BATCH))
    kept = engine.state
    taken = actions(3, BATCH)
    out = drive(engine, taken)
    assert out[0].frame_BHWC.shape == (BATCH, tiny.HEIGHT, tiny.WIDTH, 3)
    quantizer = any_family.tokenizer.quantizer
    assert out[0].tokens_BL.shape == (BATCH, quantizer.config.tokens)
    assert set(np.unique(out[0].tokens_BL)) <= set(range(16))
    # the tokens are the frame: they draw it again
    maps = torch.from_numpy(out[0].tokens_BL.astype(np.int64)).split(
        [h * w for h, w in quantizer.config.scales], 1
    )
    np.testing.assert_allclose(quantizer.decode(maps).numpy(), out[0].latent_BChw, atol=1e-5)
    assert np.isnan(out[0].surprise_B).all() == (any_family.config.family == "dit")
    engine.state = kept
    assert_equal_outputs(out, drive(engine, taken))
    other = -taken
    engine.state = kept
    assert not np.array_equal(drive(engine, other)[-1].tokens_BL, out[-1].tokens_BL)


def test_only_what_is_drawn_coarse_to_fine_may_stop_early(any_family, tmp_path):
    engine = EagerEngine(any_family, BATCH, "cpu")
    most = len(any_family.tokenizer.quantizer.config.scales)
    if any_family.config.family == "var":
        assert engine.possible_scales == tuple(range(1, most + 1))
        return
    assert engine.possible_scales == (engine.scales,) == (most,)
    with pytest.raises(ValueError, match=rf"scales=1; accepted by backend 'eager': {most}$"):
        engine.scales = 1
    with pytest.raises(ValueError, match=rf"family '{any_family.config.family}' accepts: {most}$"):
        export(any_family, BATCH, tmp_path, scales=[1])


def test_every_family_comes_back_from_its_folder(any_family, tmp_path):
    save(tmp_path, any_family.config, any_family.tokenizer, any_family.world)
    loaded = load(tmp_path)
    assert type(loaded.world) is type(any_family.world)
    assert loaded.config == any_family.config
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace(f'"{any_family.config.family}"', '"gan"', 1))
    with pytest.raises(CheckpointError, match="family 'gan' is unknown"):
        load(tmp_path)


def test_low_precision_stays_near(any_family):
    precise, coarse = (EagerEngine(any_family, BATCH, "cpu", p) for p in ("float32", "bfloat16"))
    outs = []
    for engine in (precise, coarse):
        engine.reset(*context(BATCH))
        outs.append(drive(engine, actions(1, BATCH))[0])
    assert np.mean(outs[0].tokens_BL == outs[1].tokens_BL) > 0.75
