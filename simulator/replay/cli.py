"""`dreamlane replay`: show a recording, verify it, branch it, or send a dream after it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from simulator.recording.episode import Episode

DIFFERS, REFUSED = 1, 2
"""Exit codes: a frame came out otherwise; something can't be re-run or read."""


def replay(
    recording: Annotated[Path, typer.Argument(help="folder of a recorded episode")],
    verify: Annotated[
        bool, typer.Option("--verify", help="re-run it (or all below) and compare every frame hash")
    ] = False,
    counterfactual: Annotated[
        str, typer.Option(help='other actions, such as "t=4s steer=+0.3 for 1s"')
    ] = "",
    through: Annotated[
        str, typer.Option(help="model (name or folder) that dreams from its start and actions")
    ] = "",
    output: Annotated[
        Path | None, typer.Option(help="folder for video, pictures and JSON; else a window opens")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="re-run a dream with this checkpoint, if it has moved")
    ] = None,
    start: Annotated[float, typer.Option(help="begin here, s; shown or --through")] = 0.0,
    seconds: Annotated[
        float | None, typer.Option(help="how many seconds, also with --through; else to the end")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the dream's noise, --through")] = 0,
    scale: Annotated[int | None, typer.Option(help="window size, times the picture's")] = None,
    fps_limit: Annotated[float, typer.Option(help="ticks/s of the window; 0 no limit")] = 10.0,
    frames: Annotated[int | None, typer.Option(help="close the window after so many")] = None,
) -> None:
    """Show a recording in a window or write it as a video; re-run it; branch it; dream it."""
    chosen = [
        name
        for name, given in (
            ("--verify", verify),
            ("--counterfactual", counterfactual),
            ("--through", through),
        )
        if given
    ]
    if len(chosen) > 1:
        raise ValueError(f"{' and '.join(chosen)} given; accepted: at most one of them")
    if chosen and not through and (start or seconds is not None):
        raise ValueError(
            f"--start and --seconds don't go with {chosen[0]}: it needs the whole drive"
        )
    if not start >= 0.0 or (seconds is not None and not seconds > 0.0):
        raise ValueError(f"--start {start} --seconds {seconds}; accepted: from 0 on, longer than 0")
    if output is not None and (output.suffix in (".mp4", ".json", ".png") or output.is_file()):
        raise ValueError(f"--output {output} is a file's name; accepted: a folder")
    if verify:
        raise typer.Exit(_verify(recording, model, output))
    from simulator.replay import produce

    episode = _one_episode(recording)
    if output is None:
        from simulator.viewer.display import NoDisplayError, open_display

        try:
            open_display()  # refused now, not after minutes of dreaming
        except NoDisplayError as error:
            raise NoDisplayError(f"{error}. `--output FOLDER` writes a video instead") from error
    if counterfactual:
        shown = produce.counterfactual(episode, counterfactual, model, output)
    elif through:
        shown = produce.through(episode, through, seed, start, seconds, output)
    else:
        shown = produce.as_recorded(episode, start, seconds, output)
    if output is None:
        from simulator.replay.player import show

        show(shown, scale, fps_limit, frames)


def _verify(root: Path, model: str | None, output: Path | None) -> int:
    """Verify one recording or all below a folder; returns the exit code."""
    from simulator.recording.episode import RecordingError, episode_paths, read_episode
    from simulator.replay import produce
    from simulator.replay.rerun import RerunError
    from simulator.replay.verify import verify

    paths = episode_paths(root)
    if not paths:
        raise RecordingError(f"{root} holds no recorded episode")
    results: list[dict[str, Any]] = []
    codes = [0]
    for path in paths:
        try:
            episode = read_episode(path)
            with produce.progress(path.name, len(episode)) as advance:
                found = verify(episode, model, advance)
        except (RerunError, RecordingError) as error:
            if len(paths) == 1:
                raise
            print(f"REFUSED  {error}")
            results.append({"path": str(path), "refused": str(error)})
            codes.append(REFUSED)
            continue
        results.append(found.to_json())
        if found.difference is None:
            print(f"EQUAL    {path}: {found.frames} frames, bit for bit")
        else:
            print(f"DIFFERS  {path}: {found.difference}")
            codes.append(DIFFERS)
    if len(paths) > 1:
        equal = sum(bool(result.get("equal")) for result in results)
        print(f"{equal} of {len(paths)} recordings equal, bit for bit")
    if output is not None:
        produce.write_files(output, {"verify.json": produce.json_file({"recordings": results})})
    return DIFFERS if DIFFERS in codes else max(codes)


def _one_episode(path: Path) -> Episode:
    from simulator.recording.episode import RecordingError, episode_paths, read_episode

    if path.is_dir() and not (path / "meta.json").exists() and (inside := episode_paths(path)):
        some = ", ".join(p.relative_to(path).as_posix() for p in inside[:3])
        raise RecordingError(
            f"{path} holds {len(inside)} recordings; name one of them, such as {some} "
            "(only --verify takes all)"
        )
    return read_episode(path)
