"""The rules of survival, on drives whose fate is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from simulator.assets import model_dir
from simulator.evaluation import rollout_store
from simulator.evaluation.envelope import (
    QUANTITIES,
    Envelope,
    code_entropy,
    fit_reader,
    fitting_half,
    from_truth,
    picture_statistics,
)
from simulator.evaluation.settings import EvalConfig, StabilityConfig
from simulator.evaluation.stability import paint, section
from simulator.evaluation.stability_rollouts import rollout_scenarios, spread_numbers
from simulator.evaluation.subject import Subject
from simulator.evaluation.survival import NEVER, Drive, alarm_record, cause, failures
from world_model.checkpoint import load
from world_model.engine.base import EVENT_HEADS, STATE_HEADS
from world_model.training.data import load_drives

CONFIG = StabilityConfig(columns_s=(1.0, 2.0, 6.0), sample_every=1, steps=60)
STEPS = 60
USUAL = [100.0, 50.0, 30.0, 1.0, 1.0]  # brightness, contrast, colour, codes, reader
ENVELOPE = Envelope(
    np.array(USUAL) - 0.9, np.array(USUAL) + 0.9, drift_alarm=0.25, most_detail=100.0
)


def drive(**changes) -> Drive:
    """A healthy drive of six seconds, but for the changes."""
    healthy = {
        "drift": [0.0] * STEPS,
        "detail": [10.0] * STEPS,
        "change": [5.0] * STEPS,
        "speed": [12.0] * STEPS,
        "offset": [0.2] * STEPS,
        "looks": [USUAL] * STEPS,
    }
    return Drive("calm_cruise", 10.0, **{**healthy, **changes})


def broken(some: Drive) -> dict[str, int]:
    return {rule: step for rule, step in failures(some, CONFIG, ENVELOPE).items() if step < NEVER}


def test_a_healthy_drive_breaks_no_rule():
    assert broken(drive()) == {}


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("drift", {"drift": [0.0] * 30 + [3.0] * 30}),
        ("detail", {"detail": [10.0] * 30 + [0.1] * 30}),
        ("detail", {"detail": [10.0] * 30 + [500.0] * 30}),
        ("frozen", {"change": [5.0] * 30 + [0.0] * 30}),
        ("offset", {"offset": [0.0] * 30 + [-4.0] * 30}),
        ("statistics", {"looks": [USUAL] * 30 + [[100.0, 5.0, 30.0, 1.0, 1.0]] * 30}),
        ("codes", {"looks": [USUAL] * 30 + [[*USUAL[:3], 0.0, 1.0]] * 30}),
        ("reader", {"looks": [USUAL] * 30 + [[*USUAL[:4], 4.0]] * 30}),
    ],
)
def test_each_decay_breaks_its_own_rule_soon_after_it_begins(rule, changes):
    found = broken(drive(**changes))
    assert set(found) == {rule}
    assert 30 < found[rule] <= 40


def test_a_single_odd_frame_is_forgiven():
    odd = [0.0] * 30 + [2.0] + [0.0] * 29
    assert broken(drive(drift=odd)) == {}


def test_the_first_looks_of_a_drive_say_nothing_of_how_its_codes_are_used():
    """Over one look no code comes twice nor another one: what is counted grows into its range."""
    narrow = Envelope(
        np.array(USUAL) - 0.3, np.array(USUAL) + 0.3, drift_alarm=0.25, most_detail=100.0
    )
    beginning = [[*USUAL[:3], use, 1.0] for use in np.linspace(0.0, 0.8, 9)]
    found = failures(drive(looks=[*beginning, *[USUAL] * (STEPS - 9)]), CONFIG, narrow)
    assert set(found.values()) == {NEVER}


def test_standing_still_is_not_frozen():
    assert broken(drive(change=[0.0] * STEPS, speed=[0.0] * STEPS)) == {}


def test_who_stands_sees_the_same_codes_but_not_noise():
    still = [USUAL] * 30 + [[*USUAL[:3], 0.0, 1.0]] * 30
    noise = [USUAL] * 30 + [[*USUAL[:3], 5.0, 1.0]] * 30
    assert broken(drive(looks=still, speed=[0.0] * STEPS)) == {}
    assert set(broken(drive(looks=noise, speed=[0.0] * STEPS))) == {"codes"}


def test_fog_may_lift_as_far_as_true_pictures_are_sharp():
    clearing = drive(detail=[10.0] * 30 + [90.0] * 30)
    assert broken(clearing) == {}
    murky = Envelope(ENVELOPE.low_Q, ENVELOPE.high_Q, 0.25, most_detail=20.0)
    assert failures(clearing, CONFIG, murky)["detail"] < NEVER
    assert failures(drive(detail=[20.0] * STEPS), CONFIG, murky)["detail"] == NEVER


def test_the_reader_is_fitted_to_one_half_and_judged_by_the_other():
    assert fitting_half(np.array([3, 3, 5, 5, 9])).tolist() == [True, True, False, False, True]
    assert fitting_half(np.full(5, 7)).tolist() == [True, True, False, False, False]
    assert fitting_half(np.full(3, 7)).all()  # too few to be cut


def test_an_event_counts_from_its_step():
    assert broken(drive(end=(17, "collision"))) == {"collision": 17}


def test_what_comes_after_the_end_of_a_road_does_not_count():
    late = [0.0] * 30 + [3.0] * 30
    assert broken(drive(drift=late, over=20)) == {}


def test_an_unknown_speed_counts_as_moving():
    seen = drive()
    info = {"speed_mps": float("nan"), "termination_reason": ""}
    frame = np.zeros((8, 8, 3), np.uint8)
    seen.see(frame, frame, 0.0, info, 0.0, USUAL)
    assert seen.speed[-1] > 2.0


def test_rollouts_are_spread_over_the_scenarios():
    assert spread_numbers(10, 3) == [0, 4, 9]
    assert rollout_scenarios(["a", "b"], 5) == ["a", "b", "a", "b", "a"]
    with pytest.raises(ValueError, match="collect --contexts"):
        rollout_scenarios([], 5)


def test_the_contact_sheet_has_a_row_a_rollout_and_a_column_a_moment(tmp_path):
    import cv2

    some = [drive(), drive(offset=[4.0] * STEPS)]
    for each in some:
        each.frames = {10: np.zeros((16, 32, 3), np.uint8), 20: np.zeros((16, 32, 3), np.uint8)}
    paint(tmp_path / "sheet.png", some, CONFIG, ENVELOPE)
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape == (32, 64, 3)
    assert sheet[31, 0].tolist() == [0, 0, 220]  # failed: a red edge
    assert sheet[15, 0].tolist() == [0, 0, 0]


def test_a_sample_every_few_steps_gives_steps():
    config = StabilityConfig(sample_every=5)
    late = drive(offset=[0.0] * 30 + [-4.0] * 30)
    assert 150 < failures(late, config, ENVELOPE)["offset"] <= 170


def fate(alarm: float, fall: float) -> dict[str, int]:
    """Steps at which the alarm sounds and the picture falls; infinity for never."""
    begun = {"drift": alarm, "detail": fall}
    some = drive(**{
        name: [0.0 if name == "drift" else 10.0] * int(min(at, STEPS))
        + [5.0 if name == "drift" else 0.0] * int(STEPS - min(at, STEPS))
        for name, at in begun.items()
    })  # fmt: skip
    return failures(some, CONFIG, ENVELOPE)


def test_the_alarm_s_record_of_known_fates():
    never = float("inf")
    early, late = fate(10, 30), fate(45, 20)
    record = alarm_record([early, late, fate(never, never), fate(20, never)])
    assert (record.collapsed, record.announced) == (2, 1)
    assert record.lead_s == pytest.approx(2.8)  # the alarm needs 1 step of 5.0, detail 9 of 0.0
    assert (record.healthy, record.false_alarms) == (2, 1)
    assert np.isnan(alarm_record([late]).lead_s)
    assert alarm_record([fate(25, 30)]).lead_s < record.lead_s
    assert cause(early) == "detail"


def test_survival_of_known_drives_and_the_noise_between_seeds():
    blind = {"detail": [10.0] * 15 + [0.0] * 45}
    dreams = [drive(seed=0), drive(seed=0), drive(seed=1), drive(seed=1, **blind)]
    made = section(dreams, [drive()], CONFIG, ENVELOPE)
    picture = [s["value"] for s in made.figures["dream"]["survival"]["picture"]]
    assert picture == [1.0, 1.0, 0.75]
    assert made.figures["noise_between_seeds"] == [0.0, 0.0, 0.5]
    assert made.figures["truth"]["survival"]["both"][-1]["value"] == 1.0
    assert "75% of the dreams" in made.verdicts[0].text
    assert not made.verdicts[0].trusted
    assert made.samples[0].value == (6.0, 6.0, 6.0, pytest.approx(2.4))
    curve = made.charts[0].series[0]
    assert (curve.y[0], curve.y[-1]) == (1.0, 0.75)


def test_the_range_of_the_truth_is_widened_by_its_margin():
    columns = [np.array([0.0, 10.0])] * len(QUANTITIES)
    envelope = from_truth(columns, np.array([0.0, 0.1]), np.array([2.0, 8.0]), CONFIG)
    assert envelope.low_Q[0] == -2.5
    assert envelope.high_Q[0] == 12.5
    assert envelope.drift_alarm == pytest.approx(0.1, rel=0.3)
    assert envelope.most_detail == 10.0
    looks = np.array([[5.0] * 5, [5.0, 13.0, 5.0, 5.0, 5.0], [np.nan] * 5])
    left = envelope.left(looks, np.ones(3, np.bool_))
    assert left["statistics"].tolist() == [False, True, False]
    assert not left["codes"].any()


def test_codes_that_stay_and_codes_that_never_come_twice():
    looks, places = 4, 6
    assert code_entropy(np.zeros((looks, places), np.int64)) == 0.0
    fresh = np.arange(looks * places).reshape(looks, places)
    assert code_entropy(fresh) == pytest.approx(np.log(looks))
    half = np.array([[7, 3], [7, 3], [9, 3], [9, 3]])
    assert code_entropy(half) == pytest.approx(np.log(2) / 2)


def test_the_reader_finds_odd_pictures_far_from_true_ones():
    rng = np.random.default_rng(0)
    reader = fit_reader(rng.normal(size=(400, 6)))
    true = reader.distance(rng.normal(size=(400, 6))).mean()
    odd = [reader.distance(np.full((1, 6), shift))[0] for shift in (0.0, 2.0, 5.0)]
    assert true == pytest.approx(1.0, abs=0.15)
    assert odd[0] < 0.2 < true < odd[1] < odd[2]


def test_statistics_of_known_pictures():
    grey = np.full((1, 8, 8, 3), 100, np.uint8)
    assert picture_statistics(grey).tolist() == [[100.0, 0.0, 0.0]]
    split = grey.copy()
    split[:, :4] = 200
    assert picture_statistics(split)[0].tolist() == [150.0, 50.0, 0.0]
    red = grey.copy()
    red[..., 1:] = 0
    assert picture_statistics(red)[0, 2] == 100.0


def test_rollouts_come_back_from_disk_as_they_were(tmp_path):
    some = [drive(seed=3, end=(17, "collision"), over=40), drive(drift=[0.5] * STEPS)]
    some[0].frames = {10: np.full((4, 8, 3), 7, np.uint8)}
    path = tmp_path / "rollouts" / "a-000.npz"
    rollout_store.save(path, some)
    back = rollout_store.load(path)
    assert [broken(d) for d in back] == [broken(d) for d in some]
    assert (back[0].seed, back[0].end, back[0].over) == (3, (17, "collision"), 40)
    assert (back[0].frames[10] == 7).all()
    assert rollout_store.load(tmp_path / "absent.npz") is None
    path.write_bytes(path.read_bytes()[:100])
    assert rollout_store.load(path) is None


def write_cache(root: Path, **lengths: list[int]) -> Path:
    """A frame cache of black pictures: drives of so many frames in each split."""
    root.mkdir()
    shards = []
    for name, counts in lengths.items():
        total = sum(counts)
        np.save(root / f"{name}.frames.npy", np.zeros((total, 2, 4, 3), np.uint8))
        np.savez(
            root / f"{name}.steps.npz",
            action=np.zeros((total, 2)),
            state=np.zeros((total, len(STATE_HEADS))),
            events=np.zeros((total, len(EVENT_HEADS))),
            episode=np.repeat(np.arange(len(counts)), counts),
        )
        shards.append({"name": name, "split": name})
    (root / "index.json").write_text(json.dumps({"shards": shards}))
    return root


@pytest.mark.parametrize(
    ("lengths", "frames"),
    [
        ({"train": [30, 30], "val": [20]}, 60),
        ({"train": [30], "val": [20, 20]}, 40),
        ({"val": [20]}, 20),
    ],
)
def test_a_single_held_out_drive_does_not_show_the_world(tmp_path, monkeypatch, lengths, frames):
    cache = write_cache(tmp_path / "cache", **lengths)
    held_out = load_drives(cache, "val")  # whatever the size of its pictures
    monkeypatch.setattr("simulator.evaluation.subject.held_out", lambda *given: held_out)
    town = model_dir("town")
    subject = Subject(EvalConfig(cache=str(cache)), town, load(town))
    assert len(subject.world_drives) == frames
