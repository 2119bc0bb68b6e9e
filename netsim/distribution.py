"""The distribution that this package is installed from: its name on package indexes is not ``netsim``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["DISTRIBUTION", "install_command", "installed_version"]

DISTRIBUTION = "netsim-codecs"
"""Name in pyproject.toml; ``netsim`` on PyPI is another project."""


def install_command(extra: str) -> str:
    """The command that installs an extra, for error messages.

    Args:
        extra: Name of the extra in pyproject.toml.

    Returns:
        A line for a shell.

    >>> install_command("learned")
    'pip install "netsim-codecs[learned]"'
    """
    return f'pip install "{DISTRIBUTION}[{extra}]"'


def installed_version() -> str | None:
    """Version of the installed distribution.

    Returns:
        None where the code runs without installation.
    """
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None
