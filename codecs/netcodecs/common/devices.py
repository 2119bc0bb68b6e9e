"""Where networks run."""

from __future__ import annotations

import torch

from netsim.errors import InputError

__all__ = ["IMAGES_AT_ONCE", "check_device"]

# in g_s; on a processor the time goes into fresh memory, and more images take more of it
IMAGES_AT_ONCE = {"cpu": 1, "cuda": 32}


def check_device(device: str, option: str = "device:") -> None:
    """Checks that networks can run on a device.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        option: What the user wrote in front of it.

    Raises:
        InputError: Torch finds no such device.
    """
    try:
        if torch.device(device).type in ("cpu", "cuda"):
            torch.empty(1, device=device)
            return
    except (RuntimeError, AssertionError):  # no such name; torch without CUDA asserts
        pass
    raise InputError(f"{option} {device}, but torch finds none here", hint="`cpu`, or a CUDA device that torch sees")
