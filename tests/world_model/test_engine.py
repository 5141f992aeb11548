"""The eager engine: replay, batching, slots, state, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from world_model.checkpoint import CheckpointError, save
from world_model.engine import load_engine
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.engine.eager import EagerEngine

SLOTS, CONTEXT = 3, 4


def context(count: int = SLOTS, steps: int = CONTEXT, seed: int = 0):
    """Recorded frames, actions (NaN in the last row, as in recordings) and ego state."""
    rng = np.random.default_rng(seed)
    frames = tiny.random_frames(count * steps, seed).reshape(count, steps, 32, 64, 3)
    actions = rng.uniform(-1, 1, (count, steps, 2)).astype(np.float32)
    actions[:, -1] = np.nan
    ego = rng.uniform(0, 0.5, (count, steps, 2)).astype(np.float32)
    return frames, actions, ego


def actions(steps: int, count: int = SLOTS, seed: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (steps, count, 2)).astype(np.float32)


def drive(engine: EagerEngine, taken: np.ndarray, seed: int = 0, generators=None):
    """Step with each action; the noise of a slot comes from its own generator."""
    generators = generators or [np.random.default_rng([seed, i]) for i in range(engine.batch_size)]
    return [engine.step(action, engine.draw_noise(generators)) for action in taken]


def assert_equal_outputs(found, wanted) -> None:
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a.frame_BHWC, b.frame_BHWC)
        np.testing.assert_array_equal(a.tokens_BL, b.tokens_BL)
        np.testing.assert_array_equal(a.latent_BChw, b.latent_BChw)
        np.testing.assert_array_equal(a.surprise_B, b.surprise_B)
        for name in STATE_HEADS:
            np.testing.assert_array_equal(a.state[name], b.state[name])


def test_a_step_yields_a_frame_and_what_is_known_about_it(engine):
    engine.reset(*context())
    (out,) = drive(engine, actions(1))
    assert out.frame_BHWC.shape == (SLOTS, *engine.frame_shape)
    assert out.frame_BHWC.dtype == np.uint8
    assert out.tokens_BL.shape == (SLOTS, 18)
    assert out.tokens_BL.dtype == np.int16
    assert out.latent_BChw.shape == (SLOTS, *engine.latent_shape)
    assert set(out.state) == set(STATE_HEADS)
    assert set(out.events) == set(EVENT_HEADS)
    assert all(v.shape == (SLOTS,) for v in (*out.state.values(), *out.events.values()))
    assert all(((v >= 0) & (v <= 1)).all() for v in out.events.values())
    assert (out.state["speed_mps"] >= 0).all()
    assert ((out.surprise_B > 0) & (out.surprise_B <= np.log(16) + 1e-5)).all()
    assert (out.drift_B == 0).all()  # this model doesn't know its range
    np.testing.assert_array_equal(engine.latent, out.latent_BChw)


def test_equal_noise_gives_equal_frames_and_other_noise_others(engine):
    taken, runs = actions(4), []
    for seed in (0, 0, 1):
        engine.reset(*context())
        runs.append(drive(engine, taken, seed))
    assert_equal_outputs(runs[0], runs[1])
    assert not np.array_equal(runs[0][-1].tokens_BL, runs[2][-1].tokens_BL)


def test_the_frame_depends_on_the_action_at_once(engine):
    noise = engine.draw_noise([np.random.default_rng(i) for i in range(SLOTS)])
    outs = []
    for steer in (-1.0, 1.0):
        engine.reset(*context())
        outs.append(engine.step(np.full((SLOTS, 2), steer, np.float32), noise))
    assert not np.array_equal(outs[0].latent_BChw, outs[1].latent_BChw)


def test_a_batch_dreams_what_its_members_dream_alone(checkpoint, engine):
    frames, past, ego = context()
    taken = actions(3)
    engine.reset(frames, past, ego)
    together = drive(engine, taken)
    alone = EagerEngine(checkpoint, 1, device="cpu")
    for i in range(SLOTS):
        alone.reset(frames[i : i + 1], past[i : i + 1], ego[i : i + 1])
        single = drive(alone, taken[:, i : i + 1], generators=[np.random.default_rng([0, i])])
        for a, b in zip(single, together, strict=True):
            np.testing.assert_array_equal(a.tokens_BL[0], b.tokens_BL[i])
            np.testing.assert_allclose(a.latent_BChw[0], b.latent_BChw[i], atol=1e-4)
            assert np.abs(a.frame_BHWC[0].astype(int) - b.frame_BHWC[i]).max() <= 1


def test_a_state_put_back_replays_the_same_bits(checkpoint, engine):
    engine.reset(*context())
    drive(engine, actions(2))
    state = engine.state
    assert all(len(array) == SLOTS for array in state.values())
    taken = actions(3, seed=6)
    first = drive(engine, taken, seed=7)
    engine.state = state
    assert_equal_outputs(drive(engine, taken, seed=7), first)
    other = EagerEngine(checkpoint, SLOTS, device="cpu")
    other.state = state
    assert_equal_outputs(drive(other, taken, seed=7), first)


def test_pictures_in_bfloat16_are_those_in_float32_but_for_a_grey_level_or_two(checkpoint):
    engines = [EagerEngine(checkpoint, SLOTS, "cpu", p) for p in ("float32", "bfloat16")]
    for engine in engines:
        engine.reset(*context())
    exact, coarse = (drive(engine, actions(1)) for engine in engines)
    for one, other in zip(exact, coarse, strict=True):
        # a coarse token on the edge between two codes may fall to the other side: another picture
        same_B = (one.tokens_BL == other.tokens_BL).mean(1) > 0.9
        assert same_B.mean() > 0.5
        gap = np.abs(one.frame_BHWC.astype(int) - other.frame_BHWC)[same_B]
        assert 0 < gap.mean() < 2
        np.testing.assert_array_equal(one.state["speed_mps"], other.state["speed_mps"])
    with pytest.raises(ValueError, match="accepted: float32, bfloat16, auto"):
        EagerEngine(checkpoint, SLOTS, "cpu", "float8")


def test_a_state_is_a_copy(engine):
    engine.reset(*context())
    state = engine.state
    kept = {name: array.copy() for name, array in state.items()}
    drive(engine, actions(1))
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])
        array[:] = 9.0
    assert not any((array == 9.0).all() for array in engine.state.values())


def test_a_reset_of_some_slots_leaves_the_others_alone(engine):
    engine.reset(*context())
    drive(engine, actions(2))
    before = engine.state
    engine.reset(*context(1, seed=9), slots=[1])
    after = engine.state
    for name in before:
        np.testing.assert_array_equal(after[name][[0, 2]], before[name][[0, 2]])
        assert not np.array_equal(after[name][1], before[name][1])
    engine.reset(*context(SLOTS, seed=9))
    fresh = engine.state
    engine.reset(*(part[[2, 0]] for part in context(SLOTS, seed=9)), slots=[2, 0])
    for name in fresh:
        np.testing.assert_array_equal(engine.state[name], fresh[name])


def test_appending_a_frame_equals_a_reset_with_the_longer_context(engine):
    frames, past, ego = context(steps=7)
    engine.reset(frames, past, ego)
    longer = engine.state
    engine.reset(frames[:, :5], past[:, :5], ego[:, :5])
    for t in (5, 6):  # frame t followed on the action of row t - 1
        engine.append_frame(frames[:, t], past[:, t - 1], ego[:, t])
    for name, array in engine.state.items():
        np.testing.assert_allclose(array, longer[name], atol=1e-5)


def test_the_last_action_of_the_context_is_ignored(engine):
    frames, past, ego = context()
    states = []
    for value in (np.nan, 0.5):
        past[:, -1] = value
        engine.reset(frames, past, ego)
        states.append(engine.state)
    for name in states[0]:
        np.testing.assert_array_equal(states[0][name], states[1][name])


def test_one_frame_is_context_enough(engine):
    frames, past, ego = context(steps=1)
    engine.reset(frames, past, ego)
    state = engine.state
    np.testing.assert_array_equal(state["past_BPChw"][:, 0], state["past_BPChw"][:, 1])
    assert not state["actions_BMA"].any()
    assert drive(engine, actions(1))[0].frame_BHWC.any()


def test_unknown_ego_state_counts_as_zero(engine):
    frames, past, ego = context()
    ego[:, -1] = np.nan
    engine.reset(frames, past, ego)
    assert not engine.state["ego_BE"].any()
    engine.append_frame(frames[:, 0], past[:, 0], ego[:, -1])
    assert not engine.state["ego_BE"].any()


def test_what_a_head_never_learned_is_not_fed_back():
    fed = []
    for heads in ((), ("yaw_rate_radps",), STATE_HEADS):
        engine = EagerEngine(tiny.random_checkpoint(known_heads=heads), SLOTS, device="cpu")
        assert engine.known == set(heads)
        engine.reset(*context())
        (out,) = drive(engine, actions(1))
        fed.append(engine.state["ego_BE"])
    assert not fed[0].any()
    assert not fed[1][:, 0].any()
    np.testing.assert_array_equal(fed[1][:, 1], out.state["yaw_rate_radps"])
    np.testing.assert_array_equal(fed[2][:, 0], out.state["speed_mps"])


@pytest.mark.parametrize("known", [STATE_HEADS, ()])
def test_a_standing_world_is_drawn_with_less_chance(known):
    """By how much frames of equal contexts differ under other noise, standing and fast."""
    engine = EagerEngine(tiny.random_checkpoint(known_heads=known), 32, device="cpu")
    differ = []
    for speed_mps in (0.0, 20.0):
        frames, past, ego = (a.repeat(32, 0) for a in context(1))
        ego[:, -1] = speed_mps, 0.0
        engine.reset(frames, past, ego)
        (out,) = drive(engine, np.zeros((1, 32, 2), np.float32))
        differ.append(float(np.mean(out.tokens_BL != out.tokens_BL[0])))
    if known:
        assert differ[0] < 0.9 * differ[1]
    else:  # whoever doesn't know the speed can't say that the car stands
        assert differ[0] > 0.9 * differ[1]


def test_the_callers_arrays_are_not_kept(engine):
    frames, past, ego = context()
    engine.reset(frames, past, ego)
    action, newest = past[:, 0].copy(), ego[:, 0].copy()
    engine.append_frame(frames[:, 0].copy(), action, newest)
    state = engine.state
    for array in (frames, past, ego, action, newest):
        array[:] = 0
    engine.reset(*context(1), slots=[0])
    assert not newest.any()
    for name, array in engine.state.items():
        np.testing.assert_array_equal(array[1:], state[name][1:])


def test_frames_are_left_out_on_demand(engine):
    engine.reset(*context())
    full = drive(engine, actions(2))
    engine.reset(*context())
    engine.decode = False
    fast = drive(engine, actions(2))
    assert all(out.frame_BHWC is None for out in fast)
    np.testing.assert_array_equal(fast[-1].latent_BChw, full[-1].latent_BChw)


def test_drift_grows_outside_the_range_of_true_frames():
    channels = tiny.QUANTIZER.channels
    drifts = []
    for mean in (0.0, 100.0):
        config = {
            "drift_mean": (mean,) * 2 * channels,
            "drift_std": (10.0,) * 2 * channels,
            "drift_threshold": 3.0,
        }
        engine = EagerEngine(tiny.random_checkpoint(**config), SLOTS, device="cpu")
        engine.reset(*context())
        drifts.append(drive(engine, actions(1))[0].drift_B)
    assert (drifts[0] == 0).all()
    assert (drifts[1] > 3).all()


def broken(part: int, change) -> tuple[np.ndarray, ...]:
    parts = list(context())
    parts[part] = change(parts[part])
    return tuple(parts)


def with_value(array: np.ndarray, value: float) -> np.ndarray:
    array = array.copy()
    array[0, 0] = value
    return array


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (broken(0, lambda x: x[:2]), r"accepted: \(3, T, 32, 64, 3\)"),
        (broken(0, lambda x: x[..., :2]), r"accepted: \(3, T, 32, 64, 3\)"),
        (broken(0, lambda x: x[0]), r"accepted: \(3, T, 32, 64, 3\)"),
        (broken(0, lambda x: x.astype(np.float32)), "uint8"),
        (broken(0, lambda x: x[:, :0]), "at least one"),
        (broken(1, lambda x: x[:, 1:]), r"\(3, 4, 2\)"),
        (broken(2, lambda x: x[..., :1]), r"\(3, 4, 2\)"),
        (broken(1, lambda x: with_value(x, np.nan)), "actions.*NaN.*-1 to 1"),
        (broken(1, lambda x: with_value(x, 3.0)), "actions.*-1 to 1"),
        (broken(2, lambda x: np.full_like(x, np.inf)), "infinity"),
    ],
)
def test_a_context_that_does_not_fit_is_refused_and_changes_nothing(engine, given, message):
    engine.reset(*context())
    before = engine.state
    with pytest.raises(ValueError, match=message):
        engine.reset(*given)
    for name, array in engine.state.items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("slots", [[0, 0], [3], [-1]])
def test_slots_that_are_not_there_are_refused(engine, slots):
    with pytest.raises(ValueError, match="accepted: each at most once, 0 to 2"):
        engine.reset(*context(len(slots)), slots=slots)


ACTION, NOISE = np.zeros((SLOTS, 2), np.float32), np.zeros((SLOTS, 18), np.float32)


@pytest.mark.parametrize(
    ("action", "noise", "message"),
    [
        (ACTION[:2], NOISE, r"action.*accepted: \(3, 2\)"),
        (ACTION[0], NOISE, r"action.*accepted: \(3, 2\)"),
        (ACTION, NOISE[:, 1:], r"noise.*accepted: \(3, 18\)"),
        (with_value(ACTION, np.nan), NOISE, "action holds NaN"),
        (with_value(ACTION, np.inf), NOISE, "action holds NaN or infinity"),
        (with_value(ACTION, -1.5), NOISE, "action reaches from -1.5.*accepted: -1 to 1"),
        (ACTION, with_value(NOISE, np.nan), "noise.*NaN"),
        (ACTION, with_value(NOISE, 1.0), r"noise.*\[0, 1\)"),
        (ACTION, with_value(NOISE, -0.1), r"noise.*\[0, 1\)"),
    ],
)
def test_a_step_that_does_not_fit_is_refused(engine, action, noise, message):
    with pytest.raises(ValueError, match=message):
        engine.step(action, noise)


def test_a_frame_to_append_that_does_not_fit_is_refused(engine):
    frame = np.zeros((SLOTS, 32, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="accepted: uint8"):
        engine.append_frame(frame[:, 1:], ACTION, ACTION)
    with pytest.raises(ValueError, match="accepted: uint8"):
        engine.append_frame(frame.astype(np.int32), ACTION, ACTION)
    with pytest.raises(ValueError, match="action holds NaN"):
        engine.append_frame(frame, with_value(ACTION, np.nan), ACTION)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s | {"extra": np.zeros(3)}, "accepted"),
        (lambda s: {k: v for k, v in s.items() if k != "ego_BE"}, "accepted"),
        (lambda s: s | {"ego_BE": np.zeros((2, 2), np.float32)}, r"\(3, 2\)"),
        (lambda s: s | {"ego_BE": np.full((3, 2), np.nan, np.float32)}, "NaN"),
    ],
)
def test_a_foreign_state_is_refused(engine, change, message):
    with pytest.raises(ValueError, match=message):
        engine.state = change(engine.state)


def test_engines_are_loaded_by_folder(checkpoint, tmp_path):
    save(tmp_path, checkpoint.config, checkpoint.tokenizer, checkpoint.world)
    engine = load_engine(tmp_path, batch_size=2, device="cpu")
    assert (engine.batch_size, engine.backend, engine.dt_s) == (2, "eager", 0.1)
    assert "CPU" in engine.device
    with pytest.raises(ValueError, match="accepted: auto, eager"):
        load_engine(tmp_path, backend="abacus")
    with pytest.raises(ValueError, match="batch_size"):
        load_engine(tmp_path, batch_size=0)
    save(tmp_path, checkpoint.config, checkpoint.tokenizer, None)
    with pytest.raises(CheckpointError, match="tokenizer only"):
        load_engine(tmp_path)


def test_fewer_scales_draw_the_same_frame_less_far(checkpoint):
    engine = EagerEngine(checkpoint, SLOTS, device="cpu")
    engine.reset(*context())
    start = engine.state
    (whole,) = drive(engine, actions(1))
    lengths = [h * w for h, w in tiny.QUANTIZER.scales]
    for scales in (1, 2, 3):
        engine.state, engine.scales = start, scales
        (out,) = drive(engine, actions(1))
        drawn = sum(lengths[:scales])
        np.testing.assert_array_equal(out.tokens_BL[:, :drawn], whole.tokens_BL[:, :drawn])
        assert (out.tokens_BL[:, drawn:] == -1).all()
        parts = torch.split(torch.from_numpy(out.tokens_BL[:, :drawn]).long(), lengths[:scales], 1)
        frames = checkpoint.tokenizer.decode(parts).numpy().astype(int)
        assert np.abs(frames - out.frame_BHWC).max() <= 1
    assert_equal_outputs([out], [whole])
    for wrong in (0, 4, 1.5):
        with pytest.raises(ValueError, match="accepted by backend 'eager': 1, 2, 3"):
            engine.scales = wrong
