"""torch.compile dreams what plain PyTorch dreams."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from test_engine import actions, context, drive

from world_model.checkpoint import save
from world_model.engine import load_engine
from world_model.engine.eager import CompiledEngine, EagerEngine, compiler


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler: g++, or one named in CXX")
def test_compiled_dreams_what_eager_dreams():
    checkpoint = tiny.random_checkpoint(size=tiny.SEEING)
    told = []
    for kind in (EagerEngine, CompiledEngine):
        engine = kind(checkpoint, 1, "cpu")
        engine.reset(*context(1))
        told.append(drive(engine, actions(50, 1)))
    same = [np.mean(a.tokens_BL == b.tokens_BL) for a, b in zip(*told, strict=True)]
    assert np.mean(same) >= 0.999
    for a, b in zip(*told, strict=True):
        assert np.abs(a.frame_BHWC.astype(int) - b.frame_BHWC).max() <= 1
        for name, value in (*a.state.items(), *a.events.items()):
            other = {**b.state, **b.events}[name]
            np.testing.assert_allclose(other, value, atol=1e-3, rtol=1e-3, err_msg=name)


def test_without_a_compiler_it_says_what_to_install(tmp_path, monkeypatch):
    checkpoint = tiny.random_checkpoint()
    save(tmp_path, checkpoint.config, checkpoint.tokenizer, checkpoint.world)
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"needs a C\+\+ compiler: install g\+\+"):
        load_engine(tmp_path, backend="compile", device="cpu")
