"""The distribution that this package is installed from: its name on package indexes is not ``netsim``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from netsim.digests import files_sha256

__all__ = ["DISTRIBUTION", "install_command", "installed_version", "running_code"]

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


def running_code() -> str:
    """What tells this package from another state of it; two checkouts may have one version.

    Returns:
        The version, and the first digits of a SHA-256 over the package's Python files.
    """
    package = Path(__file__).parent
    return f"{installed_version()}, code {files_sha256(package, package.rglob('*.py'))[:12]}"
