"""Endless dreams and drives in the reference world with a policy at the wheel, and what is seen there.

Dreams run in batches; each batch is kept on disk when it is done, and an evaluation that was broken off takes
it from there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulator.evaluation import metrics, rollout_store
from simulator.evaluation.conditions import code_hash, conditions_of
from simulator.evaluation.envelope import (
    Envelope,
    code_entropy,
    coded,
    picture_statistics,
    window,
)
from simulator.evaluation.policies import fingerprint, load_watched_policy
from simulator.evaluation.settings import StabilityConfig
from simulator.evaluation.subject import Subject, padded_batches
from simulator.evaluation.survival import SECOND, Drive
from world_model.engine.base import STATE_HEADS

OFFSET = STATE_HEADS.index("lane_offset_m")
Progress = Callable[[], None]


@dataclass
class Observer:
    """Looks at several drives at once and notes what the rules need."""

    subject: Subject
    envelope: Envelope
    drives: list[Drive]
    recent: deque[NDArray[np.integer]] = field(default_factory=deque)

    def look(
        self, old: NDArray[np.uint8], new: NDArray[np.uint8], tokens_NL: NDArray[np.integer],
        drift_N: NDArray[np.floating], infos: list[dict[str, Any]],
    ) -> None:  # fmt: skip
        """Take in two successive pictures of each drive, (N, H, W, 3)."""
        assert self.envelope.reader is not None
        self.recent.append(tokens_NL)
        if len(self.recent) > window(self.subject.config.stability.sample_every):
            self.recent.popleft()
        tokens = np.stack(self.recent, 1)
        statistics = picture_statistics(new)
        distance = self.envelope.reader.distance(self.subject.features(new))
        offset = self.subject.read(old, new)[:, OFFSET]
        for i, drive in enumerate(self.drives):
            seen = [*statistics[i].tolist(), code_entropy(tokens[i]), float(distance[i])]
            drive.see(old[i], new[i], float(drift_N[i]), infos[i], float(offset[i]), seen)


def drive_dreams(
    subject: Subject, envelope: Envelope, folder: Path, progress: Progress
) -> list[Drive]:
    """Rollouts of all seeds, scenario by scenario; they go on after an event, to be looked at."""
    from simulator.envs.dream_batch import DreamBatch
    from simulator.envs.dream_episode import DreamRules

    config, size = subject.config.stability, subject.config.batch
    batch = DreamBatch(
        subject.folder, size, "camera", DreamRules(endless=True),
        subject.config.contexts or None, subject.config.backend, subject.engine,
    )  # fmt: skip
    scenarios = rollout_scenarios(batch.library.scenarios(), config.rollouts)
    jobs = [(name, n, seed) for seed in range(config.seeds) for n, name in enumerate(scenarios)]
    key = rollout_store.digest(
        {
            "conditions": conditions_of(subject, metered=True),
            "code": code_hash(),
            "envelope": envelope.to_json(),
            "stability": asdict(config),
            "policy": fingerprint(config.policy),
            "jobs": jobs,
            "batch": size,
        }
    )
    drives: list[Drive] = []
    for number, (picked, count) in enumerate(padded_batches(len(jobs), size)):
        path = folder / "rollouts" / f"{key}-{number:03d}.npz"
        kept = rollout_store.load(path)
        if kept is None:
            kept = drive_batch(subject, envelope, batch, [jobs[i] for i in picked], count, progress)
            rollout_store.save(path, kept)
        drives += kept
    return drives


def drive_batch(
    subject: Subject, envelope: Envelope, batch: Any, jobs: list[tuple[str, int, int]], count: int,
    progress: Progress,
) -> list[Drive]:  # fmt: skip
    """Dream one batch of jobs (scenario, number, seed), of which the first `count` are kept."""
    config = subject.config.stability
    policies = [load_watched_policy(config.policy) for _ in jobs]
    for slot, (name, number, seed) in enumerate(jobs):
        rng = np.random.default_rng([subject.config.seed + seed, number])
        batch.begin(slot, rng, {}, name)
        policies[slot].reset(seed=number)
    # what the tokenizer blurs is no decay of the dream: the start is judged decoded, too
    detail = metrics.fine_detail(subject.reconstruct(batch.frames_BHWC[:count]))
    drives = [Drive(jobs[s][0], float(detail[s]), seed=jobs[s][2]) for s in range(count)]
    observer = Observer(subject, envelope, drives)
    old = batch.frames_BHWC.copy()
    for step in range(1, config.steps + 1):
        actions = [policy.act(old[s], batch.info(s)) for s, policy in enumerate(policies)]
        batch.advance(np.stack(actions))
        new = batch.frames_BHWC
        infos = [batch.info(slot) for slot in range(count)]
        for drive, info, frame in zip(drives, infos, new, strict=False):
            drive.happen(step, str(info["termination_reason"]))
            keep_picture(drive, step, frame, config)
        if step % config.sample_every == 0:
            drift = np.array([info["drift_score"] for info in infos])
            observer.look(old[:count], new[:count], batch.tokens_BL[:count], drift, infos)
        old = new.copy()
        progress()
    return drives


def drive_truth(
    subject: Subject, envelope: Envelope, scenarios: list[str], progress: Progress
) -> list[Drive]:
    """The same driver in the reference world, on as many of the scenarios as asked for and known.

    Its pictures go through the tokenizer before they are judged, as those of dreams have.
    """
    import gymnasium

    import simulator  # noqa: F401  (registers the environments)
    from scenarios import names

    config = subject.config.stability
    known = [name for name in dict.fromkeys(scenarios) if name in names()]
    if not known or not config.truth_rollouts:
        return []
    chosen = [known[i % len(known)] for i in spread_numbers(len(known), config.truth_rollouts)]
    environment = gymnasium.make("dreamlane/Truth-v0", endless=True, disable_env_checker=True)
    drives = []
    for i, name in enumerate(chosen):
        policy = load_watched_policy(config.policy)
        policy.reset(seed=i)
        old, info = environment.reset(seed=subject.config.seed + i, options={"scenario": name})
        start = coded(subject, old[None]).frames_NHWC
        drive = Drive(name, float(metrics.fine_detail(start)[0]))
        observer = Observer(subject, envelope, [drive])
        for step in range(1, config.steps + 1):
            new, _, terminated, _, info = environment.step(policy.act(old, info))
            drive.happen(step, str(info["termination_reason"]))
            if step % config.sample_every == 0:
                seen = coded(subject, np.stack([old, new]))
                observer.look(
                    seen.frames_NHWC[:1], seen.frames_NHWC[1:], seen.tokens_NL[1:],
                    seen.drift_N[1:], [info],
                )  # fmt: skip
            old = new
            if terminated:
                drive.over = step  # nothing more is seen of him
                break
        drives.append(drive)
        progress()
    environment.close()
    return drives


def spread_numbers(available: int, wanted: int) -> list[int]:
    """`wanted` numbers spread over 0 ... available - 1, going round where there are too few."""
    if wanted >= available:
        return [i % available for i in range(wanted)]
    return [int(n) for n in np.linspace(0, available - 1, wanted)]


def rollout_scenarios(scenarios: list[str], count: int) -> list[str]:
    """The scenario of each rollout; which of its recorded starts is drawn by the rollout's seed."""
    if not scenarios:
        raise ValueError(
            "no recorded starts for dreams; `dreamlane collect --contexts` records them, or name a"
            " folder with contexts=..."
        )
    return [scenarios[n] for n in spread_numbers(len(scenarios), count)]


def keep_picture(
    drive: Drive, step: int, frame: NDArray[np.uint8], config: StabilityConfig
) -> None:
    """Keep the frames that the contact sheet shows."""
    if any(step == round(s * SECOND) for s in config.columns_s):
        drive.frames[step] = frame.copy()
