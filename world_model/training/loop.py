"""The training loop: optimiser, averaging, checkpoints with exact resume, logs, several processes.

Every random choice of step i is drawn from a generator seeded by (seed, i, rank), so a run that was
killed continues exactly where its last checkpoint stood: weights, averages and moments are all its state.

    dreamlane train tokenizer steps=20000 processes=2
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

Log = dict[str, float]
Loss = Callable[[int, torch.Generator], tuple[Tensor, Log]]
"""Loss of one step: (step, generator) -> (scalar loss, figures to log)."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How long and how fast to train."""

    run_dir: str = "runs/unnamed"
    steps: int = 20_000
    minutes: float = 0.0  # stop (and checkpoint) after this many minutes of this call; 0: never
    learning_rate: float = 1e-3
    warmup_steps: int = 200
    decay_share: float = 0.4  # the last share of the steps brings the rate down to zero, linearly
    weight_decay: float = 0.02
    beta2: float = 0.95
    clip_norm: float = 1.0
    clip_apart: tuple[
        str, ...
    ] = ()  # parts that share no gradient with others: each is clipped by itself
    average_decay: float = 0.999
    checkpoint_s: float = 180.0
    segment: int = 1  # checkpoint and stop only after a multiple of so many steps
    log_every: int = 50
    seed: int = 0  # a run from another run's weights wants another one: else it draws the same samples again
    threads: int = 1


def learning_rate(config: LoopConfig, step: int) -> float:
    """Warm up, hold, then fall linearly to zero (a schedule that can be extended)."""
    warm = min(1.0, (step + 1) / max(1, config.warmup_steps))
    fall = (config.steps - step) / max(1.0, config.decay_share * config.steps)
    return config.learning_rate * warm * min(1.0, max(fall, 0.01))


def step_generator(seed: int, step: int, rank: int) -> torch.Generator:
    """The randomness of one step."""
    mixed = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(mixed) >> 1)


def like(parameter: Tensor, value: Tensor) -> Tensor:
    """A copy of `value` in the parameter's memory layout: the fused optimiser walks memory, not indices."""
    return torch.empty_like(parameter, requires_grad=False).copy_(value)


class Trainer:
    """Trains one module by a loss function, on one or several processes."""

    def __init__(self, model: nn.Module, loss: Loss, config: LoopConfig) -> None:
        self.model, self.loss, self.config = model, loss, config
        self.rank = int(os.environ.get("RANK", "0"))
        self.world_size = int(os.environ.get("WORLD_SIZE", "1"))
        if self.world_size > 1 and not dist.is_initialized():
            dist.init_process_group("gloo")
        torch.set_num_threads(config.threads)
        trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
        decayed = {name: p for name, p in trained.items() if p.ndim >= 2}
        plain = {name: p for name, p in trained.items() if p.ndim < 2}
        self.parameters = decayed | plain
        self.optimizer = torch.optim.AdamW(
            [
                {"params": list(decayed.values()), "weight_decay": config.weight_decay},
                {"params": list(plain.values()), "weight_decay": 0.0},
            ],
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            fused=True,
        )
        parts = {name.split(".")[0] for name in self.parameters}
        if unknown := set(config.clip_apart) - parts:
            raise ValueError(
                f"clip_apart has {sorted(unknown)}; accepted: {', '.join(sorted(parts))}"
            )
        self.step = 0
        self.trained_s = 0.0
        self.run_dir = Path(config.run_dir)
        self.run_dir.mkdir(parents=True, exist_ok=True)
        self._sync_buffers()
        self.average = {name: value.detach().clone() for name, value in model.state_dict().items()}

    # -- several processes -------------------------------------------------------------------

    def _sync_buffers(self) -> None:
        if self.world_size > 1:
            for value in self.model.state_dict().values():
                dist.broadcast(value, 0)

    def _share_gradients(self) -> None:
        if self.world_size == 1:
            return
        flat = torch.cat(
            [
                (p.grad if p.grad is not None else torch.zeros_like(p)).flatten()
                for p in self.parameters.values()
            ]
        )
        dist.all_reduce(flat)
        flat /= self.world_size
        offset = 0
        for p in self.parameters.values():
            p.grad = like(p, flat[offset : offset + p.numel()].view_as(p))
            offset += p.numel()
        for buffer in self.model.buffers():  # codebooks: every process follows the first
            if buffer.requires_grad is False and buffer.is_floating_point():
                dist.broadcast(buffer, 0)

    # -- checkpoints -------------------------------------------------------------------------

    @property
    def checkpoint_path(self) -> Path:
        """Where the running state lives."""
        return self.run_dir / "state.safetensors"

    def save(self) -> None:
        """Write the whole running state atomically (first process only)."""
        if self.rank != 0:
            return
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": v for k, v in self.average.items()}
        for name, p in self.parameters.items():
            state = self.optimizer.state.get(p)
            if state:
                tensors[f"moment1.{name}"] = state["exp_avg"]
                tensors[f"moment2.{name}"] = state["exp_avg_sq"]
        part = self.checkpoint_path.with_suffix(".part")
        meta = {"step": str(self.step), "trained_s": str(self.trained_s)}
        save_file({k: v.contiguous() for k, v in tensors.items()}, part, metadata=meta)
        with part.open("rb") as stream:
            os.fsync(stream.fileno())
        part.replace(self.checkpoint_path)

    def resume(self) -> bool:
        """Continue from the running state if there is one."""
        if not self.checkpoint_path.is_file():
            return False
        from safetensors import safe_open

        with safe_open(self.checkpoint_path, "pt") as archive:
            meta = archive.metadata()
        tensors = load_file(self.checkpoint_path)
        self.model.load_state_dict(
            {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        )
        self.average = {
            k.removeprefix("average."): v for k, v in tensors.items() if k.startswith("average.")
        }
        self.step, self.trained_s = int(meta["step"]), float(meta["trained_s"])
        for name, p in self.parameters.items():
            if f"moment1.{name}" in tensors:
                self.optimizer.state[p] = {
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": like(p, tensors[f"moment1.{name}"]),
                    "exp_avg_sq": like(p, tensors[f"moment2.{name}"]),
                }
        return True

    # -- the loop ----------------------------------------------------------------------------

    def run(self, on_checkpoint: Callable[[Trainer], Log] | None = None) -> None:
        """Train until `steps` or `minutes`; SIGINT and SIGTERM checkpoint and return.

        `on_checkpoint` measures and writes what training is for, with every checkpoint and at the end; a run
        that has ended is measured once more.

        Raises:
            FloatingPointError: loss or gradient is not finite; the last checkpoint stays as it is.
        """
        config = self.config
        started = last_save = last_log = time.monotonic()
        trained_before, logs, writer = self.trained_s, [], None
        if self.rank == 0:
            from torch.utils.tensorboard import SummaryWriter

            writer = SummaryWriter(str(self.run_dir / "tensorboard"))
        self._stop = False
        bar = self._progress_bar()
        handlers = {s: signal.signal(s, self._ask_to_stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            bar.start()
            if self.step >= config.steps and on_checkpoint is not None and writer is not None:
                # it ended before: whoever stopped it may have done so while it was measured
                self._measure(on_checkpoint, writer)
            while self.step < config.steps:
                logs.append(self._one_step())
                bar.update(bar.task_ids[0], completed=self.step)
                now = time.monotonic()
                self.trained_s = trained_before + now - started
                if self.step % config.log_every == 0 and writer is not None:
                    figures = {k: float(np.mean([x[k] for x in logs if k in x])) for k in logs[-1]}
                    figures["steps_per_s"] = len(logs) / (now - last_log)
                    self._report(figures, writer)
                    logs, last_log = [], now
                whole = self.step % config.segment == 0
                enough = whole and (self._stop or 0 < 60 * config.minutes < now - started)
                due = whole and now - last_save > config.checkpoint_s
                due = due or self.step >= config.steps
                if self._agree(due or enough):
                    self.save()
                    if on_checkpoint is not None and writer is not None:
                        self._measure(on_checkpoint, writer)
                    last_save = time.monotonic()
                if self._agree(enough):
                    break
            if self._stop:
                print(f"stopped at step {self.step}: run the same command to continue")
        finally:
            bar.stop()
            for number, handler in handlers.items():
                signal.signal(number, handler)
            if writer is not None:
                writer.close()

    def _progress_bar(self) -> Progress:
        """A bar on a terminal; log files get the lines of figures alone."""
        bar = Progress(
            TextColumn(str(self.run_dir)),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            disable=self.rank != 0 or not sys.stdout.isatty(),
        )
        bar.add_task("", total=self.config.steps, completed=self.step)
        return bar

    def _ask_to_stop(self, *_: object) -> None:
        """Stop after the step at hand: a second process must not be left waiting for this one."""
        self._stop = True

    def _agree(self, wish: bool) -> bool:
        """Processes read different clocks: the first one decides."""
        if self.world_size == 1:
            return wish
        vote = torch.tensor([float(wish)])
        dist.broadcast(vote, 0)
        return bool(vote.item())

    def _one_step(self) -> Log:
        config = self.config
        rate = learning_rate(config, self.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        # codebook revival draws from the global generator, which must differ from the step's own
        torch.manual_seed(step_generator(config.seed + 1, self.step, self.rank).initial_seed())
        loss, log = self.loss(self.step, step_generator(config.seed, self.step, self.rank))
        if not math.isfinite(float(loss.detach())):
            raise FloatingPointError(f"loss is {float(loss.detach())} at step {self.step}: {log}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._share_gradients()
        norm = self._clip()
        if not math.isfinite(float(norm)):
            raise FloatingPointError(f"gradient norm is {float(norm)} at step {self.step}: {log}")
        self.optimizer.step()
        self.step += 1
        decay = min(config.average_decay, self.step / (self.step + 20))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - decay)
        return log | {"loss": float(loss.detach()), "grad_norm": float(norm), "rate": rate}

    def _clip(self) -> Tensor:
        """Bound the gradients; their norm before. A part's outlier takes no other part's step."""
        alone = set(self.config.clip_apart)
        parts: dict[str, list[Tensor]] = {}
        for name, p in self.parameters.items():
            head = name.split(".")[0]
            parts.setdefault(head if head in alone else "", []).append(p)
        norms = [nn.utils.clip_grad_norm_(part, self.config.clip_norm) for part in parts.values()]
        whole: Tensor = torch.linalg.vector_norm(torch.stack([norm.cpu() for norm in norms]))
        return whole

    def _measure(self, on_checkpoint: Callable[[Trainer], Log], writer: object) -> None:
        self._report({f"val/{k}": v for k, v in on_checkpoint(self).items()}, writer)

    def _report(self, figures: Log, writer: object) -> None:
        line = {"step": self.step, "minutes": round(self.trained_s / 60, 2)}
        line |= {k: round(v, 5) for k, v in figures.items()}
        with (self.run_dir / "log.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        for name, value in figures.items():
            writer.add_scalar(name, value, self.step)  # type: ignore[attr-defined]
        print("  ".join(f"{k} {v:g}" for k, v in line.items()), flush=True)
