"""The training loop: exact resume after any stop, several processes, the schedule, what it refuses."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import time
from pathlib import Path

import pytest
import runs_for_tests
import torch
from runs_for_tests import STEPS, plain_trainer, tokenizer_task
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from world_model.training.loop import LoopConfig, Trainer, learning_rate

A_BLINK = 1e-9  # minutes: stop after the step at hand


@pytest.fixture(scope="module")
def straight(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The running state after six steps without a stop."""
    run_dir = tmp_path_factory.mktemp("straight")
    tokenizer_task(cache, run_dir).trainer.run()
    return load_file(run_dir / "state.safetensors")


@pytest.fixture(scope="module")
def processes() -> multiprocessing.context.ForkServerContext:
    """Processes that have torch loaded already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([runs_for_tests.__name__])
    return context


def assert_same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert torch.equal(found[name], value), name


def steps_done(run_dir: Path) -> int:
    state = run_dir / "state.safetensors"
    if not state.is_file():
        return 0
    with safe_open(state, "pt") as archive:
        return int(archive.metadata()["step"])


def test_a_run_stopped_and_resumed_ends_with_the_same_bits(cache, tmp_path, straight):
    calls = 0
    while steps_done(tmp_path) < STEPS:
        task = tokenizer_task(cache, tmp_path, minutes=A_BLINK if calls < 3 else 0.0)
        assert task.trainer.resume() == (calls > 0)
        task.trainer.run()
        calls += 1
    assert calls == 4
    assert_same(load_file(tmp_path / "state.safetensors"), straight)


def test_a_run_killed_without_warning_ends_with_the_same_bits(cache, tmp_path, straight, processes):
    run = processes.Process(
        target=runs_for_tests.train_tokenizer_and_hang, args=(cache, tmp_path), daemon=True
    )
    run.start()
    while steps_done(tmp_path) < 3:
        assert run.is_alive() or steps_done(tmp_path) == 3
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    (tmp_path / "state.part").write_bytes(b"killed while writing")
    task = tokenizer_task(cache, tmp_path)
    assert task.trainer.resume()
    task.trainer.run()
    assert_same(load_file(tmp_path / "state.safetensors"), straight)


def test_two_processes_stay_in_step_and_learn_what_one_learns(cache, tmp_path, processes):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pair = [
        processes.Process(
            target=runs_for_tests.train_as_one_of_two, args=(rank, port, cache, tmp_path)
        )
        for rank in range(2)
    ]
    for run in pair:
        run.start()
    for run in pair:
        run.join(600)
        assert run.exitcode == 0
    first, second = (torch.load(tmp_path / f"rank{i}.pt", weights_only=True) for i in range(2))
    for name in ("plain", "tokenizer"):
        assert_same(second[name], first[name])
    # both processes saw the same pictures, so the mean of their gradients is that of one process
    alone = plain_trainer(tmp_path / "alone")
    alone.run()
    assert_same(first["plain"], alone.model.state_dict())


def test_a_termination_signal_saves_and_returns(cache, tmp_path):
    task = tokenizer_task(cache, tmp_path)
    inner = task.trainer.loss

    def loss_with_signal(step, generator):
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return inner(step, generator)

    task.trainer.loss = loss_with_signal
    task.trainer.run()
    assert steps_done(tmp_path) == task.trainer.step == 3


def test_what_training_is_for_is_written_at_the_end(cache, tmp_path):
    task = tokenizer_task(cache, tmp_path)  # far fewer seconds than between two checkpoints
    task.trainer.run(task.measure)
    assert (tmp_path / "checkpoint" / "model.safetensors").is_file()
    assert list(tmp_path.glob(f"sample_*{STEPS}.png"))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["step"] == STEPS
    assert lines[-1]["val/psnr_1"] > 0


def line_trainer(run_dir: Path, loss, **loop) -> tuple[nn.Linear, Trainer]:
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    config = LoopConfig(run_dir=str(run_dir), steps=STEPS, checkpoint_s=0.0, **loop)
    return model, Trainer(model, lambda step, _: (loss(model, step), {}), config)


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_what_is_not_finite_raises_and_leaves_the_last_checkpoint(tmp_path, what):
    def loss(model, step):
        out = model(torch.ones(1, 2)).sum()
        if step < 3:
            return out**2
        # the root's slope is infinite at zero, its value is not
        return out / 0.0 if what == "loss" else (out * 0.0).abs().sqrt()

    model, trainer = line_trainer(tmp_path, loss)
    with pytest.raises(FloatingPointError, match=f"{what}.*step 3"):
        trainer.run()
    saved = load_file(tmp_path / "state.safetensors")
    assert steps_done(tmp_path) == 3
    assert all(value.isfinite().all() for value in saved.values())
    assert torch.equal(saved["model.weight"], model.weight)


def test_the_rate_warms_up_holds_and_falls():
    config = LoopConfig(steps=100, warmup_steps=10, learning_rate=2.0, decay_share=0.4)
    rates = [learning_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert rates[:10] == sorted(rates[:10])
    assert set(rates[9:60]) == {2.0}
    assert rates[60:] == sorted(rates[60:], reverse=True)
    assert 0 < rates[-1] < 0.1
    assert learning_rate(LoopConfig(warmup_steps=0, learning_rate=1.0), 0) == 1.0


def test_the_average_lags_behind_the_weights(tmp_path):
    model, trainer = line_trainer(tmp_path, lambda m, _: (m(torch.ones(1, 2)) - 5).square().sum())
    before = model.weight.detach().clone()
    trainer.run()
    assert (trainer.average["weight"] - before).abs().min() > 0
    assert (trainer.average["weight"] - before).norm() < (model.weight - before).norm()


def test_an_outlier_of_one_part_takes_no_other_part_s_step(tmp_path):
    def gradient(outlier: float, apart: tuple[str, ...]) -> torch.Tensor:
        model = nn.ModuleDict({"body": nn.Linear(2, 1), "reader": nn.Linear(2, 1)})
        given = torch.ones(1, 2)

        def loss(step: int, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, float]]:
            told = model["body"](given).sum() + outlier * model["reader"](given).sum()
            return told, {}

        config = LoopConfig(str(tmp_path), steps=1, clip_apart=apart)
        Trainer(model, loss, config)._one_step()
        return model["body"].weight.grad

    calm = gradient(1.0, ("reader",))
    assert torch.equal(gradient(1000.0, ("reader",)), calm)
    assert (gradient(1000.0, ()) < 0.01 * calm).all()
    with pytest.raises(ValueError, match=r"clip_apart has \['head'\]; accepted: body, reader"):
        gradient(1.0, ("head",))
