"""Where bfloat16 pays: decided in one place for training and engines.

Processors that don't multiply matrices in bfloat16 emulate it, a hundred times slower than float32.
"""

from __future__ import annotations

import torch


def multiplies_bfloat16() -> bool:
    """Whether this processor multiplies matrices in bfloat16 (AMX, or AVX-512 BF16)."""
    # torch has no public name for these questions
    asked = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in asked)


def low_precision() -> torch.autocast:
    """A context in which networks work in bfloat16 where the processor does, in float32 elsewhere."""
    return torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16())
