"""`dreamlane replay` as it is called: files, exit codes, a window, and civil refusals."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest
from conftest import write_camera_drive
from typer.testing import CliRunner

from simulator import cli
from simulator.recording.episode import RecordingError
from simulator.replay.player import Playback, Repeater, Shown, show
from simulator.watermark import look_at_file

VERB = cli.load(next(verb for verb in cli.VERBS if verb.name == "replay"))


def run(*arguments: object) -> tuple[int, str, Exception | None]:
    done = CliRunner().invoke(VERB, [str(a) for a in arguments])
    error = done.exception if isinstance(done.exception, Exception) else None
    return done.exit_code, done.output, error


def length_of(video: Path) -> int:
    with av.open(str(video), "r") as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_recording_becomes_a_video(tmp_path):
    recording = write_camera_drive(tmp_path / "drive", frames=12)
    code, output, _ = run(recording, "--output", tmp_path / "out", "--start", 0.2, "--seconds", 0.5)
    assert code == 0, output
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["replay.mp4"]
    assert length_of(tmp_path / "out" / "replay.mp4") == 6
    found, said = look_at_file(tmp_path / "out" / "replay.mp4")
    assert not found.marked
    assert json.loads(said) == {"generated": False}


def test_a_recorded_dream_stays_a_dream_in_its_video(tmp_path):
    recording = write_camera_drive(tmp_path / "drive", frames=12, source="dream")
    code, output, _ = run(recording, "--output", tmp_path / "out")
    assert code == 0, output
    found, said = look_at_file(tmp_path / "out" / "replay.mp4")
    assert found.marked
    assert json.loads(said) == {"generated": True}


def test_a_recording_is_shown_in_the_window_with_its_own_actions(tmp_path, monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    recording = write_camera_drive(tmp_path / "drive", frames=6)
    code, output, _ = run(recording, "--frames", 9, "--fps-limit", 0)  # it begins again at its end
    assert code == 0, output


def test_pictures_wider_than_the_camera_s_fit_the_window(monkeypatch):
    import numpy as np
    import pygame

    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    sizes = []
    flip = pygame.display.flip
    monkeypatch.setattr(
        pygame.display,
        "flip",
        lambda: (sizes.append(pygame.display.get_surface().get_size()), flip()),
    )
    frames = [np.zeros((144, 512, 3), np.uint8)] * 4
    show(
        Shown(frames, [{}] * 4, np.zeros((4, 2), np.float32), [0.0] * 4, {}),
        ticks_per_s=20.0,
        frames=3,
    )
    assert sizes[-1][0] == 2 * 512


def test_a_recording_can_be_wound_and_gone_back_in():
    import numpy as np

    frames = [np.full((4, 8, 3), t, np.uint8) for t in range(30)]
    actions = np.stack([np.linspace(0, 1, 30), np.zeros(30)], 1).astype(np.float32)
    played = Playback(lambda: Shown(frames, [{}] * 30, actions, [0.0] * 30, {}))
    driver = Repeater()
    frame, info = played.reset()
    for t in range(10):
        assert frame[0, 0, 0] == t
        action = driver.act(frame, info)
        assert action[0] == actions[t, 0]
        frame, _, _, _, info = played.step(action)
    kept = played.save_state()
    frame, info = played.wind(2.04)
    assert (frame[0, 0, 0], info["time_s"], info["length_s"]) == (20, 2.0, 2.9)
    assert played.wind(-np.inf)[0][0, 0, 0] == 0
    assert played.wind(99.0)[0][0, 0, 0] == 29
    played.restore_state(kept)
    assert played.step(None)[0][0, 0, 0] == 11


def test_without_a_display_a_video_is_offered(tmp_path, monkeypatch):
    for name in ("SDL_VIDEODRIVER", "SDL_VIDEO_DRIVER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    code, _, error = run(write_camera_drive(tmp_path / "drive"))
    assert code != 0
    assert "--output FOLDER" in str(error)


def test_a_folder_is_verified_whole_and_a_refusal_stops_nothing(tmp_path):
    for name in ("a", "b"):
        write_camera_drive(tmp_path / "set" / name)
    code, output, _ = run(tmp_path / "set", "--verify", "--output", tmp_path / "out")
    assert code == 2
    assert output.count("REFUSED") == 2
    told = json.loads((tmp_path / "out" / "verify.json").read_text())
    assert [Path(r["path"]).name for r in told["recordings"]] == ["a", "b"]
    assert "0 of 2 recordings equal" in output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--verify", "--through", "town"), "at most one"),
        (("--verify", "--start", "1"), "needs the whole drive"),
        (("--output", "drive.mp4"), "accepted: a folder"),
        (("--start", "-1"), "accepted: from 0 on"),
        (("--start", "9", "--output", "out"), "choose another part"),
        (("--counterfactual", "turn left", "--output", "out"), "accepted: "),
        (("--through", "nowhere", "--output", "out"), "nowhere"),
        (("--verify", "--model", "town"), "real car"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, error = run(write_camera_drive(tmp_path / "drive"), *arguments)
    assert code != 0
    assert said in str(error)
    assert not (tmp_path / "out").exists()


def damaged(path: Path) -> None:
    video = path / "camera.mp4"
    video.write_bytes(video.read_bytes()[:-40])


def newer(path: Path) -> None:
    meta = json.loads((path / "meta.json").read_text())
    (path / "meta.json").write_text(json.dumps({**meta, "schema_version": 2}))


def half_written(path: Path) -> None:
    (path / "meta.json").unlink()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damaged, r"camera\.mp4 is damaged"),
        (newer, "schema version 2"),
        (half_written, "not a recorded episode"),
    ],
)
def test_a_recording_that_cannot_be_read_says_so_and_leaves_the_last_output_alone(
    tmp_path, damage, said
):
    recording = write_camera_drive(tmp_path / "drive")
    assert run(recording, "--output", tmp_path / "out")[0] == 0
    before = (tmp_path / "out" / "replay.mp4").read_bytes()
    damage(recording)
    _, _, error = run(recording, "--output", tmp_path / "out")
    with pytest.raises(RecordingError, match=said):
        raise error
    assert (tmp_path / "out" / "replay.mp4").read_bytes() == before


def test_a_folder_of_recordings_asks_for_one(tmp_path):
    write_camera_drive(tmp_path / "set" / "a")
    _, _, error = run(tmp_path / "set", "--output", tmp_path / "out")
    assert "such as a" in str(error)
