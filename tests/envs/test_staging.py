"""The other driver of a critical scenario is played to dreams as the reference world plays it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from toy_engine import ToyEngine, write_start

import scenarios
from agents.lane_keeper import LaneKeeper
from simulator.ego import EgoState
from simulator.envs.contexts import Context, read_context
from simulator.envs.dream_episode import DreamEpisode, DreamRules
from simulator.envs.forced import ForcedDream
from simulator.envs.lead_in import lead_in
from simulator.envs.pair import as_start
from simulator.envs.staged_picture import FARTHEST_M, put_staged, with_staged
from simulator.envs.staging import CLEAR, NOBODY, Staged, stage
from simulator.truth.scene import PixelClass

STRAIGHT = np.zeros(2, np.float32)
CRUISE = EgoState(20.0, 0.0, 0.0, 0.0, 0.0, 80.0, 0.0, False, False)


def start(scenario: str, time_s: float = 0.7, last: EgoState = CRUISE) -> Context:
    """A start that shows no vehicle ahead."""
    frames, actions = np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2), np.float32)
    return Context(scenario, frames, actions, np.zeros((1, 6), np.float32), last, 25.0, time_s)


def begun(scenario: str, time_s: float = 0.7, last: EgoState = CRUISE) -> Staged:
    staged = stage(start(scenario, time_s, last))
    assert staged is not None
    return staged


@pytest.fixture(scope="module")
def truth():
    env = gymnasium.make("dreamlane/Truth-v0", endless=True, disable_env_checker=True)
    yield env
    env.close()


def ego(info) -> EgoState:
    return EgoState(**{name: info[name] for name in EgoState.__dataclass_fields__})


@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize(
    "scenario", ["hard_braking_lead", "cut_in", "slow_leader", "oncoming_over_line"]
)
def test_it_is_where_the_reference_world_has_it(truth, scenario, looks):
    moments = lead_in(truth, 3, {"scenario": scenario})
    observation, _, info = moments[-1]
    keeper, staged = LaneKeeper(), stage(as_start(moments))
    keeper.reset(0)
    seen = together = alone = 0
    for _ in range(90):
        action = keeper.act(observation, info)
        if not looks:
            action[1] = 0.1  # about the speed it has
        before = ego(info)
        observation, _, _, _, info = truth.step(action)
        staged = staged.after(before, ego(info), 0.1)
        distance_m, said_m = info["lead_distance_m"], staged.lead().distance_m
        if info["collision"]:
            assert said_m < 2.0
            break
        if distance_m < 70 and said_m < 70:
            assert said_m == pytest.approx(distance_m, abs=2.5)
            together += 1
        seen += distance_m < 70
        alone += (said_m < 70) != (distance_m < 70)
    assert together > 0.8 * seen > 8
    assert alone < 0.2 * seen
    assert info["collision"] != looks


def test_the_car_behind_the_bend_stands_in_the_way():
    staged, now = begun("stopped_car_behind_bend"), CRUISE
    began_m = staged.gap_m
    for _ in range(20):
        staged = staged.after(now, now, 0.1)
    assert staged.lead().speed_mps == 0.0
    assert staged.lead().distance_m == pytest.approx(began_m - 40.0)


def test_what_the_start_shows_is_known_better_than_the_script():
    near = replace(CRUISE, lead_distance_m=31.0)
    assert begun("hard_braking_lead", 2.9, near).lead() == (31.0, 18.0)


@pytest.mark.parametrize(
    ("scenario", "time_s"),
    [("calm_cruise", 0.7), ("merging_truck", 0.7), ("a real drive", 0.7), ("cut_in", math.nan)],
)
def test_nobody_is_staged_without_a_script_or_its_time(scenario, time_s):
    assert stage(start(scenario, time_s)) is None


def test_a_scenario_of_ones_own_has_its_own_script():
    cut_in = scenarios.load("cut_in")
    own = replace(cut_in, critical=replace(cut_in.critical, gap_m=5.0))
    assert stage(start("cut_in"), own).gap_m == 5.0


def test_a_start_that_shows_nobody_has_nobody_near():
    for scenario in ("stopped_car_behind_bend", "slow_leader"):
        assert begun(scenario, 9.0).gap_m >= 80.0
    assert begun("stopped_car_behind_bend").lead().speed_mps == 0.0


def test_who_changes_lanes_before_a_cut_in_is_cut_in_all_the_same():
    staged = begun("cut_in")
    right, left = replace(CRUISE, lane_offset_m=-1.7), replace(CRUISE, lane_offset_m=1.7)
    staged = staged.after(left, right, 0.1)
    for _ in range(35):
        staged = staged.after(CRUISE, CRUISE, 0.1)
    assert staged.lead().distance_m < 10.0


def test_who_changes_lanes_has_it_ahead_no_longer_and_again_on_coming_back():
    staged = begun("hard_braking_lead", 0.7, replace(CRUISE, lead_distance_m=40.0))
    right, left = replace(CRUISE, lane_offset_m=-1.7), replace(CRUISE, lane_offset_m=1.7)
    beside = staged.after(left, right, 0.1)  # over the line: now far right in the next lane
    assert beside.lead() == CLEAR
    for _ in range(15):
        beside = beside.after(CRUISE, CRUISE, 0.1)
    assert beside.lead() is NOBODY
    assert beside.after(right, left, 0.1).lead().distance_m < 40.0


def test_who_braked_to_a_halt_drives_on_and_is_then_left_to_the_model():
    staged, standing = begun("hard_braking_lead"), replace(CRUISE, speed_mps=0.0)
    speeds = []
    for _ in range(300):
        staged = staged.after(standing, standing, 0.1)
        speeds.append(staged.lead().speed_mps)
    assert min(s for s in speeds if s == s) == 0.0
    assert speeds.count(0.0) == pytest.approx(40, abs=3)
    assert math.isnan(speeds[-1])


def test_it_goes_through_json_at_any_time():
    staged = begun("oncoming_over_line")
    for _ in range(60):
        again = Staged.from_json(json.loads(json.dumps(staged.to_json())))
        assert again == staged
        staged = staged.after(CRUISE, CRUISE, 0.1)
    assert staged.returns_s < math.inf


# -- environments ----------------------------------------------------------------------------------


@pytest.fixture
def cut_in(tmp_path):
    write_start(tmp_path / "cut_in" / "0", "cut_in", brightness=40)
    write_start(tmp_path / "calm_cruise" / "0", "calm_cruise", brightness=40)
    return tmp_path


def staged_in(env, steps: int) -> list[tuple[float, float]]:
    engine = env.unwrapped._batch.engine
    engine.staged.clear()
    for _ in range(steps):
        env.step(STRAIGHT)
    return [leads[0] for leads in engine.staged]


def test_an_environment_plays_the_script_to_its_engine(make_dream, cut_in):
    env = make_dream(scenario="cut_in", contexts=cut_in)
    env.reset(seed=0)
    told = staged_in(env, 80)
    assert 40 < len(told) < 60  # from a second after the third on, less what the start took
    assert told[0] == pytest.approx((9.0, 17.0), abs=0.01)
    env.reset(seed=0, options={"scenario": "calm_cruise"})
    assert staged_in(env, 80) == []


@pytest.mark.parametrize("made", [True, False])
def test_a_scenario_in_python_is_played_as_it_is(make_dream, cut_in, made):
    spec = scenarios.load("cut_in")
    own = replace(spec, critical=replace(spec.critical, gap_m=5.0))
    env = make_dream(contexts=cut_in, scenario=own if made else "calm_cruise")
    env.reset(seed=0, options={} if made else {"scenario": own})
    assert staged_in(env, 60)[0][0] == pytest.approx(5.0, abs=0.01)


def test_a_restored_dream_has_the_other_where_it_was(make_dream, cut_in):
    env = make_dream(scenario="cut_in", contexts=cut_in)
    env.reset(seed=0)
    staged_in(env, 40)
    saved = env.unwrapped.save_state()
    once = staged_in(env, 10)
    env.unwrapped.restore_state(saved)
    assert staged_in(env, 10) == once
    assert len(once) == 10


def test_each_slot_of_a_batch_has_its_own(make_dreams, cut_in):
    envs = make_dreams(2, contexts=cut_in, scenario=["calm_cruise", "cut_in"])
    envs.reset(seed=0)
    for _ in range(40):
        envs.step(np.zeros((2, 2), np.float32))
    calm, critical = envs.unwrapped._batch.engine.staged[-1]
    assert math.isnan(calm[0])
    assert critical == pytest.approx((9.0, 17.0), abs=0.01)


def test_dreams_saved_before_there_was_staging_go_on(cut_in):
    context = read_context(cut_in / "cut_in" / "0")
    episode = DreamEpisode(DreamRules(), context, 60.0, 0.1)
    saved = episode.to_json()
    del saved["staged"]
    assert DreamEpisode.from_json(saved, DreamRules(), 0.1).staged is None


def test_who_is_told_the_truth_needs_no_script(cut_in):
    forced = ForcedDream(scenario="cut_in", engine=ToyEngine(1), contexts=cut_in)
    forced.reset(seed=0)
    for _ in range(40):
        forced.step(STRAIGHT)
    assert forced._batch.engine.staged == []


# -- pictures --------------------------------------------------------------------------------------


def test_a_cut_out_stands_where_the_camera_sees_the_vehicle_ahead(truth):
    """The classes of the reference world's own picture say where that is."""
    moments = lead_in(truth, 3, {"scenario": "hard_braking_lead"})
    observation, info = moments[-1].observation, moments[-1].info
    keeper = LaneKeeper()
    keeper.reset(0)
    while info["lead_distance_m"] > 12:
        observation, _, _, _, info = truth.step(keeper.act(observation, info))
    vehicle = truth.unwrapped.class_mask() == PixelClass.VEHICLE
    vehicle[:, :100] = vehicle[:, 156:] = False  # others
    mask, _ = with_staged(observation[None], [ego(info)], ["hard_braking_lead"])
    (rows, columns), (own_rows, own_columns) = np.nonzero(vehicle), np.nonzero(mask[0])
    assert own_columns.mean() == pytest.approx(columns.mean(), abs=3)
    assert own_rows.max() == pytest.approx(rows.max(), abs=6)  # hills
    assert np.ptp(own_columns) == pytest.approx(np.ptp(columns), rel=0.25)


def test_nothing_is_put_ahead_of_who_has_just_left_its_lane(cut_in):
    context = replace(start("hard_braking_lead"), last=replace(CRUISE, lead_distance_m=15.0))
    episode = DreamEpisode(DreamRules(), context, 60.0, 0.1)
    episode.ego = context.last
    episode.staged = stage(context)
    frames = np.full((1, 128, 256, 3), 90, np.uint8)
    assert list(put_staged(frames, [episode])) == [0]
    over = replace(context.last, lane_offset_m=-1.7)
    episode.staged = episode.staged.after(replace(over, lane_offset_m=1.7), over, 0.1)
    assert put_staged(frames, [episode]) == {}
    assert put_staged(frames, [None]) == {}


def test_nothing_is_put_where_nobody_is_staged_or_can_be_seen():
    frames = np.full((4, 128, 256, 3), 90, np.uint8)
    far, unknown = (replace(CRUISE, lead_distance_m=d) for d in (FARTHEST_M, math.nan))
    askew = replace(CRUISE, lead_distance_m=10.0, heading_error_rad=1.5)
    mask, pasted = with_staged(frames, [None, far, unknown, askew], [""] * 4)
    assert not mask.any()
    assert (pasted == frames).all()


def test_who_comes_up_to_it_sees_it_until_the_crash(town):
    env = gymnasium.make("dreamlane/Dream-v0", world_model=town, backend="eager")
    seen = {}
    for puts in (True, False):
        env.unwrapped._batch.puts = puts
        _, info = env.reset(seed=0, options={"scenario": "hard_braking_lead", "context": 0})
        seen[puts], ended, keeper = [], False, LaneKeeper()
        while not ended:
            steer, _ = keeper.act(None, info)  # in its lane, and faster
            frame, _, ended, late, info = env.step(np.array([steer, 0.5], np.float32))
            assert not late
            seen[puts].append((info["lead_distance_m"], info["termination_reason"], frame))
    env.close()
    differ = [
        (one[:2] == other[:2], int((one[2] != other[2]).any(-1).sum()))
        for one, other in zip(seen[True], seen[False], strict=True)
    ]
    assert all(same for same, _ in differ)
    assert seen[True][-1][:2] == (0.0, "collision")
    pixels = [count for _, count in differ]
    assert min(pixels[-6:]) > 500
    assert min(pixels[-2:]) > 2000  # and there it is large


def test_what_is_put_is_as_light_as_its_road():
    shown = []
    for grey in (90, 30):
        frame = np.full((1, 128, 256, 3), grey, np.uint8)
        there = replace(CRUISE, lead_distance_m=8.0)
        mask, pasted = with_staged(frame, [there], ["cut_in"])
        shown.append(pasted[0][mask[0]].mean())
    assert shown[1] < 0.6 * shown[0]


def test_the_picture_shows_it_and_the_dream_goes_on_without_it(town):
    env = gymnasium.make("dreamlane/Dream-v0", world_model=town, backend="eager")
    shown, latents = {}, {}
    for puts in (True, False):
        env.unwrapped._batch.puts = puts
        env.reset(seed=0, options={"scenario": "cut_in", "context": 0})
        for _ in range(12):
            shown[puts], *_, info = env.step(STRAIGHT)
        latents[puts] = env.unwrapped._batch.engine.latent.copy()
        if puts:
            saved = env.unwrapped.save_state()
    np.testing.assert_array_equal(latents[True], latents[False])
    mask, pasted = with_staged(shown[False][None], [ego(info)], ["cut_in"])
    assert mask.sum() > 100
    np.testing.assert_array_equal(shown[True], pasted[0])
    env.unwrapped.restore_state(saved)
    np.testing.assert_array_equal(env.unwrapped.save_state().frame, shown[True])
    env.close()


def test_looking_at_a_latent_dream_does_not_change_it(town):
    latents = []
    for mode in ("rgb_array", None):
        env = gymnasium.make(
            "dreamlane/Dream-v0", world_model=town, backend="eager", obs="latent", render_mode=mode
        )
        env.reset(seed=0, options={"scenario": "cut_in", "context": 0})
        for _ in range(12):
            latent, *_, info = env.step(STRAIGHT)
        assert info["lead_distance_m"] < 20  # it is staged
        latents.append(latent)
        env.close()
    assert (latents[0] == latents[1]).all()


def test_a_pair_stages_the_scenario_that_it_was_given(town):
    spec = scenarios.load("hard_braking_lead")
    own = replace(spec, name="my own", critical=replace(spec.critical, at_s=1.0))
    env = gymnasium.make("dreamlane/Pair-v0", worlds=("truth", town), backend="eager")
    env.reset(seed=0, options={"scenario": own})
    staged = env.unwrapped._envs[1]._batch.episode(0).staged
    assert staged.spec == own.critical
    env.close()
