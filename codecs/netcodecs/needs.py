"""What learned codecs need beside netsim's own dependencies, asked for before anything is encoded."""

from __future__ import annotations

from importlib.util import find_spec

from netsim.distribution import install_command
from netsim.errors import NotInstalledError

__all__ = ["need_packages"]

LEARNED = ("torch", "compressai", "safetensors")


def need_packages(codec: str, names: tuple[str, ...] = LEARNED) -> None:
    """Checks that packages are installed, without importing them.

    Args:
        codec: Whose packages they are, for the message.
        names: Of the packages.

    Raises:
        InputError: One is not installed.

    >>> need_packages("mine", ("numpy", "no_such_package"))
    Traceback (most recent call last):
    ...
    netsim.errors.NotInstalledError: mine needs no_such_package, which is not installed
      pip install "netsim-codecs[learned]"
    """
    for name in names:
        if find_spec(name) is None:
            raise NotInstalledError(f"{codec} needs {name}, which is not installed", hint=install_command("learned"))
