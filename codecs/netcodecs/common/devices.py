"""Where networks run."""

from __future__ import annotations

import torch

from netsim.errors import InputError

__all__ = ["IMAGES_AT_ONCE", "check_device", "multiplies_bfloat16", "search_arithmetic"]

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
    return device.type != "cpu" or _has("avx512_bf16") or _has("amx_tile")


def _has(instructions: str) -> bool:
    """Whether torch finds them in this processor; some checks are missing in earlier versions."""
    return bool(getattr(torch.cpu, f"_is_{instructions}_supported", bool)())


def search_arithmetic(device: str) -> str:
    """What decides, beside its input, which latent a search finds: other last bits of sums lead it elsewhere.

    Args:
        device: ``cpu``, ``cuda`` or ``cuda:N``.

    Returns:
        Number format, device, and a processor's instructions: part of the fingerprint of a codec that searches.
    """
    where = torch.device(device)
    numbers = "bfloat16" if multiplies_bfloat16(where) else "float32"
    if where.type != "cpu":
        return f"{numbers} on {device}"
    return f"{numbers} on cpu, {torch.backends.cpu.get_cpu_capability()}{' and AMX' if _has('amx_tile') else ''}"
