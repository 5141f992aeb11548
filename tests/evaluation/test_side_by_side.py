"""Clips of the worst cases: the right ones, the worst first, camera above dream."""

from __future__ import annotations

import av
import numpy as np
import painted
import pytest

from simulator.evaluation.open_loop import open_loop
from simulator.evaluation.report import Section, samples
from simulator.evaluation.side_by_side import cases, dream, filmed, ranking


def test_the_worst_come_first_and_a_median_one_last():
    units = [str(u) for u in range(10, 17)]
    ranked = samples(
        "error", [3.0, 9.0, float("nan"), 1.0, 7.0, 5.0, 2.0], units, units, 20, "lower"
    )
    assert [case.row for case in cases(ranked)] == [11, 14, 15, 10]
    turned = samples("psnr_db", ranked.value, units, units, 20, "higher")
    assert [case.row for case in cases(turned)] == [13, 16, 10, 15]
    assert "worst of 6 clips by error (9 after 2 s)" in cases(ranked)[0].caption


def test_the_longest_horizon_ranks_and_a_part_without_samples_has_no_clips(tmp_path):
    short, long = (samples("psnr_db", [1.0], ["a"], ["4"], h, "higher") for h in (5, 20))
    assert ranking(Section("s", "S", {}, samples=(long, short))) is long
    bare = Section("s", "S", {})
    assert filmed(painted.subject("obeys"), bare, tmp_path) is bare


@pytest.mark.parametrize(("kind", "equal"), [("replays", True), ("frozen", False)])
def test_the_camera_stands_above_what_the_model_dreams(kind, equal):
    subject = painted.subject(kind)
    rows = subject.drives.window_ends(3, 5)[[2, 9]]
    clips = dream(subject, rows, 5)
    assert len(clips) == 2
    assert clips[0].shape == (6, 2 * painted.H, painted.W, 3)
    camera, dreamed = clips[1][:, : painted.H], clips[1][:, painted.H :]
    below_the_label = slice(20, None)
    assert (
        camera[:, below_the_label] == subject.drives.frames(rows[1] + np.arange(6))[:, 20:]
    ).all()
    assert (dreamed[-1, below_the_label] == camera[-1, below_the_label]).all() == equal


def test_an_open_loop_is_filmed_into_the_report_s_folder(tmp_path):
    section = filmed(painted.subject("obeys"), open_loop(painted.subject("obeys")), tmp_path)
    assert [video.file for video in section.videos] == [
        f"videos/open_loop_{i}.mp4" for i in (1, 2, 3, 4)
    ]
    with av.open(str(tmp_path / section.videos[0].file)) as container:
        assert len([*container.decode(video=0)]) == max(painted.CONFIG.open_loop.horizons) + 1
