"""A frame after each of its scales: the last is the frame, the others come nearer and nearer."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

import simulator  # noqa: F401
from world_model.pyramid import pyramid


def test_each_scale_brings_the_picture_nearer(town):
    env = gymnasium.make("dreamlane/Dream-v0", world_model=town, backend="eager").unwrapped
    env.reset(seed=3)
    for _ in range(3):
        frame, *_ = env.step(np.zeros(2, np.float32))
    state = env.save_state()
    drawn = env.pyramid().astype(float)
    assert drawn.shape == (5, *frame.shape)
    assert np.array_equal(drawn[-1], frame)
    away = np.abs(drawn - frame).mean((1, 2, 3))
    assert (np.diff(away) < 0).all()
    assert away[0] > 10.0
    env.close()
    after = env.save_state()  # looking changes nothing
    for name, array in state.engine.items():
        assert np.array_equal(array, after.engine[name])


def test_an_engine_of_somebody_else_s_is_refused():
    with pytest.raises(ValueError, match="load_engine"):
        pyramid(object())  # type: ignore[arg-type]
