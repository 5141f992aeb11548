"""The hash by which frames are recognised: environments report it, recordings keep it, replays compare it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray


def array_hash(array: NDArray[Any]) -> str:
    """BLAKE2b of the array's bytes, 128 bits as 32 hexadecimal digits."""
    return hashlib.blake2b(np.ascontiguousarray(array).data, digest_size=16).hexdigest()


def text_hash(text: str) -> str:
    """The same of a text's UTF-8 bytes."""
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
