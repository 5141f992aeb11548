"""The panel is graded: each fault costs in the simple lane world what it is meant to cost."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from test_drivers import Lane, drive

from agents.constant import Constant
from agents.panel import PANEL, Blind, ConstantVelocity, Fault, Faulty


def spread(name: str) -> float:
    trace = drive(PANEL[name](), Lane(), 200, 3)
    return float(np.std([row["lane_offset_m"] for row in trace]))


def test_there_are_at_least_twelve_drivers_and_each_can_be_seeded():
    assert len(PANEL) >= 12
    for name, make in PANEL.items():
        assert drive(make(), Lane(), 30, 5) == drive(make(), Lane(), 30, 5), name


def test_noise_and_delay_cost_more_the_more_there_is_of_them():
    assert spread("lane_keeper") < spread("slight_noise") < spread("medium_noise")
    assert spread("medium_noise") < spread("strong_noise")
    bent = [drive(PANEL[n](), Lane(curvature_1pm=0.01), 150) for n in ("lane_keeper", "very_late")]
    worst = [max(abs(row["lane_offset_m"]) for row in trace) for trace in bent]
    assert worst[0] < worst[1]


def test_the_drifter_sways_and_the_tailgater_gets_close():
    offsets = [row["lane_offset_m"] for row in drive(PANEL["lane_drifter"](), Lane(), 160)]
    assert max(offsets) > 0.7
    assert min(offsets) < -0.7
    gaps = [
        drive(PANEL[n](), Lane(lead_distance_m=40.0, lead_mps=12.0), 300)[-1]["lead_distance_m"]
        for n in ("lane_keeper", "tailgater")
    ]
    assert gaps[1] < 0.5 * gaps[0]


def test_speeder_and_crawler_are_on_either_side_of_the_limit():
    ends = {n: drive(PANEL[n](), Lane(), 400)[-1]["speed_mps"] for n in ("speeder", "crawler")}
    assert ends["speeder"] > 22.0
    assert ends["crawler"] < 10.0


def test_constant_velocity_runs_into_whoever_brakes():
    trace = drive(ConstantVelocity(), Lane(lead_distance_m=30.0, lead_mps=5.0), 100)
    assert {round(row["speed_mps"]) for row in trace} == {15}
    assert trace[-1]["lead_distance_m"] < 0.0


def test_standing_still_is_reached_gently_and_within_the_lane():
    trace = drive(PANEL["stand_still"](), Lane(curvature_1pm=0.01), 100)
    speeds = [15.0, *(row["speed_mps"] for row in trace)]
    assert trace[-1]["speed_mps"] == 0.0
    assert max(a - b for a, b in itertools.pairwise(speeds)) < 0.405
    assert max(abs(row["lane_offset_m"]) for row in trace) < 0.5


def test_the_blind_driver_sees_black_and_knows_its_own_sensors_only():
    class Witness(Constant):
        def act(self, observation, info):
            self.seen = observation, dict(info)
            return super().act(observation, info)

    witness = Witness()
    info = {"speed_mps": 9.0, "lane_offset_m": 1.0, "collision": True, "tokens": [1, 2]}
    Blind(witness).act(np.full((2, 2, 3), 200, np.uint8), info)
    picture, known = witness.seen
    assert picture.max() == 0
    assert known["speed_mps"] == 9.0
    assert math.isnan(known["lane_offset_m"])  # a key that lacked would trip a driver
    assert known["collision"] is False
    assert known["tokens"] is None
    Blind(witness).act({"camera": np.ones((2, 2, 3)), "speed_mps": np.array([9.0])}, info)
    assert witness.seen[0]["camera"].max() == 0
    assert witness.seen[0]["speed_mps"] == 9.0


@pytest.mark.parametrize("delay", [1, 4])
def test_a_delay_is_exactly_so_many_steps(delay):
    lane = Lane(lane_offset_m=1.0)
    late, prompt = Faulty(Fault(delay_steps=delay)), Faulty()
    actions = [[driver.act(None, lane.info())[0] for _ in range(8)] for driver in (late, prompt)]
    assert actions[0][:delay] == [0.0] * delay
    assert actions[0][delay:] == actions[1][:-delay]
