"""LPIPS and Inception features, where their networks' weights are at hand; else what is missing, by name.

Nothing is ever downloaded: an evaluation must not depend on who answers. The files are those that torchvision
and torch-fidelity know, in `checkpoints` of torch's hub folder (`TORCH_HOME`).

Shapes: N pictures, H W picture, F features.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Frames = NDArray[np.uint8]

LPIPS_WEIGHTS = "alexnet-owt-7be5be79.pth"
INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
NEEDS = {
    "lpips": ("torchvision", LPIPS_WEIGHTS),
    "kid": ("torch_fidelity", INCEPTION_WEIGHTS),
}
"""Package and file behind each metric."""


def missing(metric: str) -> str:
    """Why a metric of `NEEDS` is skipped, "" where it can be measured."""
    package, file = NEEDS[metric]
    if not weights(file).is_file():
        return f"skipped: needs {file} in TORCH_HOME/hub/checkpoints"
    if find_spec(package) is None:
        return f"skipped: needs the package {package.replace('_', '-')}"
    return ""


def weights(file: str) -> Path:
    """Where torch looks for a file of weights."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / file


def lpips(frames_NHWC: Frames, truth_NHWC: Frames) -> NDArray[np.float64]:
    """Learned perceptual distance of each pair of pictures, (N,): 0 for equal ones.

    Zhang et al. 2018, AlexNet, through torchmetrics.
    """
    import torch

    with torch.no_grad():
        pair = (_tensor(f).float() / 127.5 - 1.0 for f in (frames_NHWC, truth_NHWC))
        values = [_lpips_network()(a[None], b[None]) for a, b in zip(*pair, strict=True)]
    return np.array([float(v) for v in values])


def inception_features(frames_NHWC: Frames) -> NDArray[np.float32]:
    """What FID and KID compare: pool features of the 2015 Inception network, (N, 2048)."""
    import torch

    with torch.no_grad():
        parts = [
            _inception()(_tensor(frames_NHWC[i : i + 8])) for i in range(0, len(frames_NHWC), 8)
        ]
    out: NDArray[np.float32] = torch.cat(parts).float().numpy()
    return out


@lru_cache(maxsize=1)
def _lpips_network() -> Any:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity("alex").eval()


@lru_cache(maxsize=1)
def _inception() -> Any:
    from torchmetrics.image.fid import NoTrainInceptionV3

    return NoTrainInceptionV3(
        name="inception-v3-compat",
        features_list=["2048"],
        feature_extractor_weights_path=str(weights(INCEPTION_WEIGHTS)),
    ).eval()


def _tensor(frames_NHWC: Frames) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(frames_NHWC)).permute(0, 3, 1, 2)
