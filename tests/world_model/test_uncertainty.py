"""Where the model was unsure: as the step itself found it, and none where no step drew the picture."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from test_engine import SLOTS, actions, context, drive

from world_model.engine.eager import EagerEngine
from world_model.uncertainty import uncertainty


def made(family: str = "var", **config: object) -> EagerEngine:
    return EagerEngine(
        tiny.random_checkpoint(size=tiny.SEEING, family=family, **config), SLOTS, "cpu"
    )


def unsure_after(engine: EagerEngine) -> tuple[np.ndarray, np.ndarray]:
    """The map after two steps, and their last surprise."""
    engine.reset(*context())
    out = drive(engine, actions(2))[-1]
    unsure = uncertainty(engine)
    assert unsure is not None
    assert unsure.shape == (SLOTS, *engine.latent_shape[1:])
    return unsure, out.surprise_B


@pytest.mark.parametrize("family", ["raster", "nar"])
def test_the_map_says_where_the_surprise_of_a_step_was(family):
    unsure, surprise = unsure_after(made(family))
    np.testing.assert_allclose(unsure.mean((1, 2)), surprise, rtol=1e-3)


def test_all_scales_count_alike_in_the_map_of_a_pyramid():
    engine = made()
    unsure, surprise = unsure_after(engine)
    scales = engine.tokenizer.quantizer.config.scales
    most = np.log(engine.tokenizer.quantizer.config.vocabulary)
    assert unsure.min() > 0
    assert unsure.max() <= most
    # by cells, as surprise counts, the coarsest scale weighs least
    share = scales[0][0] * scales[0][1] / sum(h * w for h, w in scales)
    away = np.abs(unsure.mean((1, 2)) - surprise)
    assert away.max() <= most * (1 / len(scales) - share)


def test_pictures_that_no_step_drew_have_no_map():
    engine = made()
    engine.reset(*context())
    assert uncertainty(engine) is None
    drive(engine, actions(1))
    assert uncertainty(engine) is not None
    engine.state = engine.state
    assert uncertainty(engine) is None


def test_families_without_tokens_say_so():
    engine = made("dit")
    engine.reset(*context())
    with pytest.raises(ValueError, match="accepted: families of tokens"):
        uncertainty(engine)
