"""The distribution that this package is installed from: its name on package indexes is not ``netsim``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from netsim.digests import files_sha256

__all__ = ["DISTRIBUTION", "code_sha256", "code_text", "install_command", "installed_version", "running_code"]

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


def code_sha256() -> str:
    """SHA-256 over this package's Python files and the table of presets, in hexadecimal.

    Returns:
        64 digits.
    """
    package = Path(__file__).parent
    return files_sha256(package, [*package.rglob("*.py"), *package.glob("channels/*.csv")])


def running_code() -> str:
    """What tells this package from another state of it; two checkouts may have one version.

    Returns:
        The version, and the first digits of ``code_sha256``.
    """
    return code_text(installed_version(), code_sha256())


def code_text(version: str | None, sha256: str) -> str:
    """A state of the code, for messages.

    Args:
        version: Of the distribution; None: it is not known.
        sha256: From ``code_sha256``.

    Returns:
        Both, the second shortened.

    >>> code_text("0.1.0", "6b86b273ff34fce19d6b804eff5a3f57")
    '0.1.0, code 6b86b273ff34'
    """
    return f"{version}, code {sha256[:12]}"
