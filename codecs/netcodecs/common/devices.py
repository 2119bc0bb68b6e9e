"""Where networks run."""

from __future__ import annotations

import torch

from netsim.errors import InputError

__all__ = ["IMAGES_AT_ONCE", "check_device"]

# in g_s; on a processor the time goes into fresh memory, and more images take more of it
IMAGES_AT_ONCE = {"cpu": 1, "cuda": 32}


def check_device(device: str) -> None:
    """Raises InputError if torch finds no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: cuda, but torch finds none here", hint="leave `device` out, or give `cpu`")
