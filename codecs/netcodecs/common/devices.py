"""Where networks run."""

from __future__ import annotations

import torch

from netsim.errors import InputError

__all__ = ["IMAGES_AT_ONCE", "check_device", "multiplies_bfloat16"]

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


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for it: a processor without them takes several times as long as in float32."""
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # some are missing in earlier versions
    return device.type != "cpu" or any(getattr(torch.cpu, check, bool)() for check in checks)
