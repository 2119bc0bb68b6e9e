"""What besides the scenario's text decides a run: contents of files, and code of plug-ins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.codec import codec_identity
from netsim.digests import digest, named_path, path_sha256
from netsim.distribution import code_sha256
from netsim.errors import InputError
from netsim.metrics.identity import metric_identity
from netsim.registry import plugin_identity, plugin_names

if TYPE_CHECKING:
    from netsim.scenario.plan import CodecSpec, Plan

__all__ = ["Inputs", "code_of", "fingerprints_of", "inputs_of", "plugins_of", "without_folders"]

_KINDS = ("channel", "protection", "controller", "link")


@dataclass(frozen=True)
class Inputs:
    """images: digest of each image's pixels, by name. files: SHA-256 of each other file, by path.

    plugins: digest of each codec (with its settings), metric, channel, protection, controller and link that is
    not netsim's own. fingerprints: of each codec under the same name; its digest counts, this is for messages.
    """

    images: dict[str, str]
    files: dict[str, str]
    plugins: dict[str, str]
    fingerprints: dict[str, dict[str, str]] = field(default_factory=dict, compare=False)

    def identity(self) -> str:
        """Digest of all contents; where the files lie does not matter.

        Returns:
            64 hexadecimal digits.
        """
        files = sorted((Path(path).name, sha256) for path, sha256 in self.files.items())
        return digest(self.images, files, self.plugins)

    def as_dict(self) -> dict[str, dict[str, str]]:
        """For the manifest.

        Returns:
            Keys images, files, plugins.
        """
        return {"images": self.images, "files": self.files, "plugins": self.plugins}

    def changes(self, before: Mapping[str, Any]) -> list[str]:
        """What differs from the inputs that a manifest holds.

        Args:
            before: ``inputs`` of a manifest.

        Returns:
            One phrase for each difference.

        >>> Inputs({}, {"/data/a.txt": "1"}, {}).changes({"files": {"/data/a.txt": "2"}})
        ['`/data/a.txt` has changed']
        """
        found = []
        for kind, now in self.as_dict().items():
            then = before.get(kind)
            if not isinstance(then, Mapping):
                continue
            found += [f"`{name}` has changed" for name in now if name in then and now[name] != then[name]]
            found += [f"`{name}` is new" for name in now if name not in then]
            found += [f"`{name}` is gone" for name in then if name not in now]
        return found


def inputs_of(plan: Plan) -> Inputs:
    """Hash the inputs of a plan.

    Args:
        plan: The plan.

    Returns:
        Hashes of images, files and plug-ins.

    Raises:
        InputError: If a file can't be read.
    """
    files: dict[str, str] = {}
    for spec in _codecs(plan):
        codec = spec.create()
        files |= {str(path.resolve()): _sha256(path) for path in codec.input_files.values()}
    for path in sorted({path for spec in plan.written.all() for path in _files_in(spec)}):
        files[str(path.resolve())] = _sha256(path)
    images = dict(zip(plan.image_names, plan.image_hashes, strict=True))
    return Inputs(images, dict(sorted(files.items())), plugins_of(plan), fingerprints_of(plan))


def plugins_of(plan: Plan) -> dict[str, str]:
    """Digest of each plug-in of a plan, as this process has it; see ``Inputs``.

    Args:
        plan: The plan.

    Returns:
        Digests by kind and name.
    """
    plugins: dict[str, str] = {}
    for spec in _codecs(plan):
        codec = spec.create()
        plugins[_codec_name(spec)] = digest(codec_identity(codec))
    for metric in plan.metrics:
        plugins[f"metric {metric}"] = metric_identity(metric)
    words = {word for spec in plan.written.all() for word in _words(spec)}
    for kind in _KINDS:
        for name in sorted(words.intersection(plugin_names(kind))):
            plugins[f"{kind} {name}"] = plugin_identity(kind, name)
    return dict(sorted(plugins.items()))


def code_of(plan: Plan) -> dict[str, str]:
    """Digest of the source of netsim and of each codec of a plan, as they are now.

    ``plugins_of`` counts a codec's packages, weights and settings, too.

    Args:
        plan: The plan.

    Returns:
        SHA-256 by name.
    """
    sources = {f"codec {spec.name}": codec_identity(spec.create())["source"] for spec in _codecs(plan)}
    return {"netsim": code_sha256(), **dict(sorted(sources.items()))}


def fingerprints_of(plan: Plan) -> dict[str, dict[str, str]]:
    """The fingerprint of each codec of a plan, as this process has it.

    Args:
        plan: The plan.

    Returns:
        By name as in ``plugins_of``, values as text.
    """
    return {
        _codec_name(spec): {key: str(value) for key, value in spec.create().fingerprint.items()}
        for spec in _codecs(plan)
    }


def _codec_name(spec: CodecSpec) -> str:
    return f"codec {spec.name} {spec.settings_text}".rstrip()


def _codecs(plan: Plan) -> set[CodecSpec]:
    return {scheme.codec for row in plan.rows for scheme in row.schemes}


def without_folders(spec: Any) -> Any:
    """A specification with the file names of its traces in place of their paths: a folder may move.

    Args:
        spec: Of a channel, a link, a protection or a controller.

    Returns:
        A copy.
    """
    if isinstance(spec, Mapping):
        return {
            key: Path(value).name if key == "trace" and isinstance(value, str) else without_folders(value)
            for key, value in spec.items()
        }
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        return [without_folders(one) for one in spec]
    return spec


def _sha256(path: Path) -> str:
    try:
        return path_sha256(path)
    except OSError as error:
        raise InputError(f"can't read `{path}`: {error.strerror}") from None


def _files_in(spec: Any) -> Iterator[Path]:
    """Files that a channel, link or controller names as a value, at any depth."""
    yield from filter(None, map(named_path, _values(spec)))


def _values(spec: Any) -> Iterable[str]:
    if isinstance(spec, Mapping):
        for value in spec.values():
            yield from [value] if isinstance(value, str) else _values(value)
    elif isinstance(spec, Sequence) and not isinstance(spec, str):
        for value in spec:
            yield from _values(value)


def _words(spec: Any) -> Iterator[str]:
    """Keys and bare names of a specification, at any depth: a plug-in may stand as either."""
    if isinstance(spec, str):
        yield spec
    elif isinstance(spec, Mapping):
        for key, value in spec.items():
            yield str(key)
            yield from _words(value)
    elif isinstance(spec, Sequence):
        for value in spec:
            yield from _words(value)
