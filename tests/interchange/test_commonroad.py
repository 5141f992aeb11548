"""Recorded traffic becomes a world: lanes, vehicles, start and goal as the file says; errors with lines."""

from __future__ import annotations

import math
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import small_roads as small
from typer.testing import CliRunner

import scenarios
import simulator  # noqa: F401  registers the environments
from scenarios.schema import Scenario, ScenarioError
from simulator.interchange.commonroad import read
from simulator.interchange.importing import scenarios_in, written_as
from simulator.interchange.safe_xml import UnsupportedError, XmlError
from simulator.recording.import_cli import app
from simulator.truth.scene import Body, Line
from simulator.truth.world import World

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ngsim_commonroad"
COAST = np.zeros(2)


def world(path: Path) -> World:
    return World(scenarios_in(path)[0], seed=0)


def test_lanelets_become_lanes_with_links_lines_and_limits(tmp_path: Path) -> None:
    layout = world(small.file(tmp_path, small.TWO_LANES + small.problem())).layout
    one, two, left = (layout.lanes[layout.sources[n]] for n in (1, 2, 3))
    assert layout.successors[layout.sources[1]] == (layout.sources[2],)
    assert layout.sources[3][2] == 0  # leftmost first
    assert layout.sources[1][:2] == layout.sources[3][:2]
    assert (one.length, one.width) == pytest.approx((60.0, 3.5), abs=1e-3)
    assert (one.speed_limit, two.speed_limit) == (13.9, 20.0)
    # the file's x counts from the ego's start, 20 m into its lane
    assert one.local_coordinates((0.0, 0.0)) == pytest.approx((20.0, 0.0), abs=1e-3)
    assert (one.left_line, one.right_line) == (Line.DASHED, Line.SOLID)
    assert (left.left_line, left.right_line) == (Line.SOLID, Line.NONE)
    assert layout.route == [layout.sources[1][:2], layout.sources[2][:2]]


def test_the_world_turns_with_the_file(tmp_path: Path) -> None:
    """y is up: a lane to the north stays one, and left of it is west."""
    north = [small.turned(x, y, math.pi / 2) for x in (0.0, 80.0) for y in (1.75, -1.75)]
    content = (
        f'<lanelet id="2"><leftBound>{small.points([north[0], north[2]])}</leftBound>'
        f"<rightBound>{small.points([north[1], north[3]])}</rightBound></lanelet>"
    ) + small.problem(x_m=0.0).replace(
        "<orientation><exact>0.0", f"<orientation><exact>{math.pi / 2}"
    )
    made = world(small.file(tmp_path, content))
    assert made.layout.lanes[made.layout.sources[2]].local_coordinates((-1.0, 5.0))[1] > 0.99
    made.step(COAST)
    assert made.view().y_m > 0.9
    assert abs(made.ego.heading_error_rad) < 1e-9


def test_width_follows_the_bounds(tmp_path: Path) -> None:
    left, right = [(0.0, 1.5), (100.0, 3.5)], [(0.0, -1.5), (100.0, -1.5)]
    content = (
        f'<lanelet id="2"><leftBound>{small.points(left)}</leftBound>'
        f"<rightBound>{small.points(right)}</rightBound></lanelet>"
    )
    made = world(small.file(tmp_path, content + small.problem()))
    lane = made.layout.lanes[made.layout.sources[2]]
    assert lane.width_at(0.0) == pytest.approx(3.0, abs=0.02)
    assert lane.width_at(50.0) == pytest.approx(4.0, abs=0.02)
    assert lane.width_at(lane.length) == pytest.approx(5.0, abs=0.02)
    edge_m = made.layout.lanes[made.layout.sources[2]].outside_m
    # at x = 80 in the file the bounds are at 3.1 and -1.5
    assert edge_m((60.0, 2.9)) < 0.0 < edge_m((60.0, 3.3))
    assert edge_m((60.0, -1.4)) < 0.0 < edge_m((60.0, -1.6))


def test_vehicles_follow_their_log_between_its_steps(tmp_path: Path) -> None:
    log = small.track(3.5, 30.0, 8.0, steps=10, first=2, dt_s=0.25)
    content = small.TWO_LANES + small.car(9, log, size=(8.0, 2.4)) + small.problem(step=2)
    made = world(small.file(tmp_path, content, step_s=0.25))
    for tick in range(22):
        (bus,) = made.road.drivers
        expected = [10.0 + 0.8 * tick, 3.5]
        assert bus.position == pytest.approx(expected, abs=1e-6)
        assert (bus.speed, bus.heading) == pytest.approx((8.0, 0.0))
        made.step(COAST)
    seen = made.view().actors
    assert seen.size_m is not None
    assert seen.size_m[0, :2] == pytest.approx((8.0, 2.4))
    assert seen.body.tolist() == [Body.TRUCK]
    made.step(COAST)
    assert made.road.drivers == []  # the log ends 2.25 s after it began


def test_headings_are_interpolated_across_the_turn_of_the_circle(tmp_path: Path) -> None:
    log = small.state("initialState", 0, 30.0, 3.5, 5.0, heading=3.1) + (
        "<trajectory>" + small.state("state", 10, 35.0, 3.5, 5.0, heading=-3.1) + "</trajectory>"
    )
    made = world(small.file(tmp_path, small.TWO_LANES + small.car(9, log) + small.problem()))
    for _ in range(5):
        made.step(COAST)
    assert abs(made.road.drivers[0].heading) == pytest.approx(math.pi, abs=1e-6)


def test_brake_lights_follow_the_log(tmp_path: Path) -> None:
    slowing = (
        small.state("initialState", 0, 40.0, 3.5, 10.0)
        + "<trajectory>"
        + "".join(
            small.state("state", k, 40.0 + k, 3.5, 10.0 - (0.5 * (k - 5) if k > 5 else 0.0))
            for k in range(1, 12)
        )
        + "</trajectory>"
    )
    made = world(small.file(tmp_path, small.TWO_LANES + small.car(9, slowing) + small.problem()))
    lights = []
    for _ in range(10):
        lights.append(made.road.drivers[0].braking)
        made.step(COAST)
    assert lights == [False] * 5 + [True] * 5


def test_reaching_the_goal_is_success_and_missing_its_time_is_failure(tmp_path: Path) -> None:
    made = world(small.file(tmp_path, small.TWO_LANES + small.problem()))
    while made.success is None:
        made.step(COAST)
    assert made.success
    assert made.done_route
    assert made.view().x_m == pytest.approx(40.5, abs=1.0)  # the goal's lane begins at 40

    late = (
        "<position><rectangle><length>4</length><width>3</width><orientation>0</orientation>"
        "<center><x>50</x><y>0</y></center></rectangle></position>"
        "<time><intervalStart>0</intervalStart><intervalEnd>20</intervalEnd></time>"
    )
    made = world(small.file(tmp_path, small.TWO_LANES + small.problem(late)))
    for _ in range(21):
        made.step(COAST)
    assert made.success is False


def test_a_goal_asks_for_speed_and_heading_too(tmp_path: Path) -> None:
    slow = (
        '<position><lanelet ref="1"/></position>'
        "<velocity><intervalStart>0</intervalStart><intervalEnd>2</intervalEnd></velocity>"
        "<orientation><intervalStart>-0.1</intervalStart><intervalEnd>0.1</intervalEnd></orientation>"
        "<time><intervalStart>0</intervalStart><intervalEnd>99</intervalEnd></time>"
    )
    goal = read(small.file(tmp_path, small.TWO_LANES + small.problem(slow))).problems[7].goals[0]
    assert goal.holds(1.0, 5.0, 0.0, 0.05, 1.0)
    assert goal.holds(1.0, 5.0, 0.0, 0.05 + math.tau, 1.0)
    assert not goal.holds(1.0, 5.0, 0.0, 0.2, 1.0)
    assert not goal.holds(1.0, 5.0, 0.0, 0.0, 3.0)
    assert not goal.holds(10.0, 5.0, 0.0, 0.0, 1.0)
    assert not goal.holds(1.0, 5.0, 3.0, 0.0, 1.0)


def test_hitting_a_recorded_car_is_a_collision_and_it_stays_there(tmp_path: Path) -> None:
    standing = small.track(0.0, 40.0, 0.0, steps=90)
    made = world(small.file(tmp_path, small.TWO_LANES + small.car(9, standing) + small.problem()))
    assert made.ego.lead_distance_m == pytest.approx(20.0 - 0.5 * (4.6 + 4.5), abs=0.05)
    for _ in range(30):
        made.step(COAST)
    assert made.ego.collision
    assert made.success is False


def test_a_saved_instant_is_restored_exactly(tmp_path: Path) -> None:
    log = small.track(3.5, 30.0, 8.0, steps=60)
    made = world(small.file(tmp_path, small.TWO_LANES + small.car(9, log) + small.problem()))
    for _ in range(5):
        made.step(COAST)
    here, states = made.save_state(), []
    for _ in range(2):
        made.restore_state(here)
        for _ in range(5):
            made.step(np.array([0.1, 0.2]))
        states.append((made.ego, made.road.drivers[0].position.tolist()))
    assert states[0] == states[1]


def test_format_2020a_with_signs_and_markings(tmp_path: Path) -> None:
    marked = small.lanelet(
        1, 0.0, (0.0, 60.0), '<laneletType>urban</laneletType><trafficSignRef ref="5"/>'
    )
    marked = marked.replace("</leftBound>", "<lineMarking>dashed</lineMarking></leftBound>")
    sign = (
        '<trafficSign id="5"><trafficSignElement><trafficSignID>R2-1</trafficSignID>'
        "<additionalValue>11.2</additionalValue></trafficSignElement></trafficSign>"
    )
    moving = small.car(9, small.track(0.0, 45.0, 8.0, steps=9)).replace(
        "obstacle", "dynamicObstacle"
    )
    goal = small.problem().replace('ref="2"', 'ref="1"')
    content = marked + sign + moving.replace("<role>dynamic</role>", "") + goal
    made = world(small.file(tmp_path, content, version="2020a"))
    lane = made.layout.lanes[made.layout.sources[1]]
    assert (lane.speed_limit, lane.left_line, lane.right_line) == (11.2, Line.DASHED, Line.NONE)
    assert len(made.road.drivers) == 1


def error(folder: Path, content: str, **more: str) -> str:
    with pytest.raises(XmlError) as caught:
        read(small.file(folder, content, **more))
    return str(caught.value)


def test_unsupported_features_are_all_named_with_their_lines(tmp_path: Path) -> None:
    log = small.track(0.0, 40.0, 1.0, steps=3)
    round_shape = "<shape><circle><radius>1</radius></circle></shape>"
    content = "\n".join(
        [
            small.TWO_LANES,  # line 3
            small.car(9, log, kind="pedestrian"),
            small.car(10, log).replace("<shape>", round_shape + "<shape>", 1),
            '<phantomObstacle id="11"/>',
            small.car(12, log, kind="pedestrian"),
            small.problem(),
        ]
    )
    path = small.file(tmp_path, content)
    path.write_text(
        path.read_text().replace(
            round_shape + "<shape><rectangle>", round_shape[:7] + "<circle/><rectangle>"
        )
    )
    with pytest.raises(UnsupportedError) as caught:
        read(path)
    assert caught.value.features == {
        "obstacle of type pedestrian": [4, 7],
        "obstacle shape other than one <rectangle>": [5],
        "<phantomObstacle>": [6],
    }
    assert "obstacle of type pedestrian (lines 4, 7)" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("2018b", "2017a"), "line 2: commonRoadVersion is '2017a'; accepted: 2018b and 2020a"),
        (('timeStepSize="0.1"', ""), "timeStepSize is None"),
        (("commonRoad", "openRoad"), "the file is <openRoad>"),
        (('<successor ref="2"/>', '<successor ref="5"/>'), "there is no lanelet 5"),
        (("<y>1.75</y>", "<y>one</y>"), "<y> is 'one'; accepted: a finite number"),
        (("<y>1.75</y>", "<y>nan</y>"), "<y> is 'nan'"),
        (('drivingDir="same"', 'drivingDir="up"'), "drivingDir is 'up'"),
        (("planningProblem", "problem"), "no <planningProblem>"),
        (("</commonRoad>", ""), "damaged XML"),
        (("<exact>1</exact>", "<exact>0</exact>"), "a state at 0 s follows one at 0 s"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    log = small.track(3.5, 40.0, 1.0, steps=3).replace("<exact>1.0</exact>", "<exact>2.0</exact>")
    path = small.file(tmp_path, small.TWO_LANES + small.car(9, log) + small.problem())
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(XmlError) as caught:
        read(path)
    assert said in str(caught.value)
    assert str(caught.value).startswith("small.xml")


def test_nothing_is_fetched_or_expanded(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("0.5")
    path = small.file(tmp_path, small.TWO_LANES + small.problem())
    bomb = f'<!DOCTYPE commonRoad [<!ENTITY e SYSTEM "{secret.as_uri()}">]>'
    text = path.read_text().replace("<commonRoad", f"{bomb}<commonRoad", 1)
    path.write_text(text.replace("<y>1.75</y>", "<y>&e;</y>", 1))
    with pytest.raises(XmlError, match="document type"):
        read(path)


def test_the_command_writes_a_scenario_that_names_its_recording(tmp_path: Path) -> None:
    path = small.file(tmp_path, small.TWO_LANES + small.problem())
    made = tmp_path / "made"
    done = CliRunner().invoke(app, ["commonroad", str(path), "--output", str(made)])
    assert done.exit_code == 0, done.output
    loaded = scenarios.load(str(made / "small_1.yaml"))
    assert "small.xml" in (made / "small_1.yaml").read_text()
    assert str(tmp_path) not in (made / "small_1.yaml").read_text()
    World(loaded, 0)
    path.write_text(path.read_text() + "<!-- changed -->")
    with pytest.raises(ScenarioError, match=r"road\.digest"):
        World(loaded, 0)
    path.unlink()
    with pytest.raises(ScenarioError, match=r"road\.file"):
        World(loaded, 0)


def test_what_a_recording_says_cannot_be_said_twice(tmp_path: Path) -> None:
    (scenario,) = scenarios_in(small.file(tmp_path, small.TWO_LANES + small.problem()))
    text = written_as(scenario, tmp_path)
    for line, field in (
        ("start: {speed_mps: 3}", "start"),
        ("success: {min_progress_m: 3}", "success"),
        ("route: left", "route"),
    ):
        with pytest.raises(ScenarioError) as caught:
            scenarios.catalogue.parse(f"{text}{line}\n", f"{scenario.name}.yaml")
        assert caught.value.field == field
    with pytest.raises(ScenarioError, match=r"road\.file"):
        scenarios.catalogue.parse("name: a\ndescription: b\nroad: {kind: commonroad}\n", "a.yaml")


def real(name: str) -> Scenario:
    path = REAL / name
    if not path.is_file():
        pytest.skip(f"needs the recorded traffic {name} in ../shared/data/ngsim_commonroad")
    return scenarios_in(path)[0]


@pytest.mark.parametrize(
    "name", ["USA_US101-3_3_T-1.xml", "USA_Lanker-1_1_T-1.xml", "USA_Peach-4_8_T-1.xml"]
)
def test_real_traffic_drives_in_its_lanes(name: str, tmp_path: Path) -> None:
    scenario = real(name)
    made = World(scenario, seed=0)
    assert not made.ego.collision
    assert not made.ego.offroad
    assert abs(made.ego.lane_offset_m) < 0.5
    assert abs(made.ego.heading_error_rad) < 0.05
    inside = []
    for tick in range(0, 31, 5):
        made.replay.place(made.road, 0.1 * tick)
        inside += [d.lane.outside_m(d.position) < 0.0 for d in made.road.drivers]
    assert np.mean(inside) > 0.93

    target = tmp_path / f"{scenario.name}.yaml"
    target.write_text(written_as(scenario, tmp_path))
    env = gymnasium.make("dreamlane/Truth-v0", scenario=str(target))
    frame, _ = env.reset(seed=0)
    assert frame.std() > 10.0
    mask = env.unwrapped.class_mask()
    assert np.mean(mask == 2) > 0.15  # road
    assert np.mean(mask == 4) > 0.001  # vehicles
    env.step(np.array([0.0, 0.0], np.float32))
    env.close()
