"""Generated videos can be told, also after they were compressed and made smaller; others aren't suspected."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from simulator import cli, watermark
from simulator.videos import VideoWriter, write_gif, write_video


def landscape(count: int = 40) -> list[np.ndarray]:
    """Something that goes by: soft blobs on a gradient, other ones in each frame's margin."""
    rng = np.random.default_rng(5)
    far = cv2.GaussianBlur(rng.integers(0, 256, (128, 512, 3)).astype(np.float32), (0, 0), 4)
    far = 100 + 6 * (far - far.mean()) + np.linspace(60, -60, 128)[:, None, None]
    wide = far.clip(0, 255).astype(np.uint8)
    return [np.ascontiguousarray(wide[:, 5 * t : 5 * t + 256]) for t in range(count)]


def through(frames: list[np.ndarray], path: Path, crf: int, share: float) -> Path:
    """The frames of a video once more through H.264, at another size."""
    height, width = (round(share * side) // 2 * 2 for side in frames[0].shape[:2])
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": str(crf)})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in frames:
            small = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(small, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def dreamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "dreamed.mp4"
    write_video(path, landscape(), about={"seed": 7, "generated": "no matter"}, dreamed=True)
    return path


def test_a_dreamed_video_is_told_and_says_what_it_is(dreamed):
    found, said = watermark.look_at_file(dreamed)
    assert found.marked
    assert found.frames == 40
    assert json.loads(said) == {"generated": True, "seed": 7}


def test_a_dreamed_gif_is_told_as_well(tmp_path):
    write_gif(tmp_path / "dreamed.gif", landscape(), dreamed=True)
    write_gif(tmp_path / "other.gif", landscape(), dreamed=False)
    assert watermark.look_at_file(tmp_path / "dreamed.gif")[0].marked
    assert not watermark.look_at_file(tmp_path / "other.gif")[0].marked


@pytest.mark.parametrize(("crf", "share"), [(28, 1.0), (28, 0.5), (23, 0.75)])
def test_the_mark_survives_compression_and_scaling(dreamed, tmp_path, crf, share):
    found, said = watermark.look_at_file(
        through(decoded(dreamed), tmp_path / "again.mp4", crf, share)
    )
    assert found.marked
    assert "generated" not in said  # metadata is lost, the mark isn't


def test_what_a_camera_saw_is_not_suspected(tmp_path):
    path = tmp_path / "camera.mp4"
    write_video(path, landscape(), dreamed=False)
    found, said = watermark.look_at_file(path)
    assert abs(found.deviations) < 4
    assert json.loads(said) == {"generated": False}


def test_the_mark_is_weak():
    frame = landscape(1)[0]
    changed = watermark.mark(frame).astype(int) - frame
    assert 1.0 < changed.std() < 2.0
    assert np.abs(changed).max() < 10


def test_a_video_that_breaks_off_leaves_nothing(tmp_path):
    def broken():
        yield landscape(1)[0]
        raise RuntimeError("the world fell apart")

    with pytest.raises(RuntimeError, match="fell apart"):
        write_video(tmp_path / "half.mp4", broken(), dreamed=True)
    assert not list(tmp_path.iterdir())
    VideoWriter(tmp_path / "none.mp4", dreamed=True).close()
    assert not list(tmp_path.iterdir())


def test_the_command_tells_and_its_exit_code_says_it(dreamed, tmp_path, capsys):
    camera = tmp_path / "camera.mp4"
    write_video(camera, landscape(5), dreamed=False)
    (tmp_path / "notes.txt").write_text("no picture")
    for file, code, said in (
        (dreamed, 0, "generated"),
        (camera, 1, "no mark found"),
        (tmp_path / "notes.txt", 2, "no video or picture"),
        (tmp_path / "nothing.mp4", 2, "no file"),
    ):
        with pytest.raises(SystemExit) as ending:
            cli.main(["watermark", "check", str(file)])
        assert ending.value.code == code
        told = capsys.readouterr()
        assert said in (told.out + told.err).replace("\n", " ")


def test_a_stamp_is_seen_in_its_corner_alone():
    frame = np.full((128, 256, 3), 90, np.uint8)
    stamped = watermark.stamp(frame)
    changed = (stamped != frame).any(2)
    assert changed[100:, 150:].sum() > 100
    assert not changed[:100].any()
    assert not changed[:, :150].any()
    assert (frame == 90).all()  # a copy
