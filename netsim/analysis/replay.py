"""The plan of a finished run, from its manifest, and the schemes in it: so that streams and mask tables can be had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netsim.decoding.cache import CodecCache
from netsim.decoding.streams import StreamKey, stream_key_of
from netsim.errors import InputError, did_you_mean
from netsim.protection.calls import protected_stream
from netsim.runs.results import FinishedRun
from netsim.scenario.document import Document
from netsim.scenario.load import plan_document
from netsim.scenario.plan import Plan, PlanRow, Scheme

__all__ = [
    "SchemeOnLink",
    "find_scheme",
    "image_number",
    "nearest_rate",
    "operating_point",
    "rate_bpp",
    "replayed_plan",
    "scheme_stream_key",
    "schemes_of",
]


@dataclass(frozen=True)
class SchemeOnLink:
    """A scheme at one operating point as one of the plan's rows sends it (the link's packet limit binds the codec)."""

    scheme: Scheme
    row: PlanRow

    @property
    def label(self) -> str:
        return self.scheme.label


def replayed_plan(run: FinishedRun) -> Plan:
    """The plan that made a run: its resolved scenario, read again.

    Args:
        run: A finished run.

    Returns:
        The plan, its images as they were.

    Raises:
        InputError: The manifest lacks the scenario, the images have moved, or they or a file have changed since.
    """
    place = str(run.path / "manifest.json")
    scenario, about = run.manifest.get("scenario"), run.manifest.get("plan")
    if not isinstance(scenario, Mapping) or not isinstance(about, Mapping):
        raise InputError(f"`{place}` does not say what ran", hint="only a run that `netsim run` wrote can be explained")
    images = about.get("images")
    if not isinstance(images, Mapping):
        raise InputError(f"`{place}` does not say which images were sent", hint="run the scenario again")
    files = _texts(run.manifest.get("codec_files"))
    try:
        plan = plan_document(Document(place, dict(scenario)), Path.cwd(), known_files=files)
    except InputError as error:
        if "images" not in error.where:
            raise
        raise _moved(error.message, scenario, place) from None
    now = dict(zip(plan.image_names, plan.image_hashes, strict=True))
    for name, sha256 in images.items():
        if name not in now:
            raise _moved(f"the run's image `{name}` is gone", scenario, place)
        if now[name] != sha256:
            raise _moved(f"image `{name}` has other pixels now than when the run was made", scenario, place)
    inputs = run.manifest.get("inputs")
    before = _texts(inputs.get("files") if isinstance(inputs, Mapping) else None)
    for text, there in files.items():  # a file that has moved is looked up in the folders of this process
        here = plan.codec_files.get(text, there)
        if here != there and str(Path(there).resolve()) in before:
            before[str(Path(here).resolve())] = before[str(Path(there).resolve())]
    changed = [text for text in plan.inputs.changes({"files": before}) if "has changed" in text]
    if changed:
        raise InputError(f"{changed[0]} since the run was made", where=place, hint="run the scenario again")
    return plan


def _texts(found: Any) -> dict[str, str]:
    """A manifest's mapping of texts; of anything else nothing."""
    known = found.items() if isinstance(found, Mapping) else ()
    return {key: value for key, value in known if isinstance(value, str)}


def _moved(message: str, scenario: Mapping[str, Any], place: str) -> InputError:
    hint = f"the run took its images from {scenario.get('images')}: put them back there, or run the scenario again"
    return InputError(message, where=f"{place}  scenario.images", hint=hint)


def schemes_of(plan: Plan, link: str | None = None) -> dict[str, list[SchemeOnLink]]:
    """Each scheme's operating points on one link.

    Args:
        plan: The plan.
        link: A link's name; None: the plan's first.

    Returns:
        By label, operating points in plan order. What a controller chooses among counts one by one.

    Raises:
        InputError: An unknown link.
    """
    links = list(dict.fromkeys(row.link_name for row in plan.rows))
    if link is not None and link not in links:
        raise InputError(f"the run has no link `{link}`", hint=did_you_mean(link, links))
    chosen = links[0] if link is None else link
    found: dict[str, dict[tuple[str, str], SchemeOnLink]] = {}
    for row in (row for row in plan.rows if row.link_name == chosen):
        for scheme in row.schemes:
            points = found.setdefault(scheme.label, {})
            points.setdefault((scheme.operating_point, scheme.codec.settings_text), SchemeOnLink(scheme, row))
    return {label: list(points.values()) for label, points in found.items()}


def find_scheme(name: str, labels: Mapping[str, str]) -> str:
    """The scheme of a name.

    Args:
        name: A label (``vvc + 30% FEC``), or a codec's name where one scheme has that codec.
        labels: By known label the name of its codec.

    Returns:
        The label.

    Raises:
        InputError: An unknown name, or one that fits several schemes.

    >>> find_scheme("jpeg2000", {"jpeg2000 prefix": "jpeg2000", "vvc": "vvc"})
    'jpeg2000 prefix'
    """
    if name in labels:
        return name
    fitting = [label for label, codec in labels.items() if codec == name]
    if len(fitting) > 1:
        raise InputError(f"`{name}` fits {len(fitting)} schemes", hint="say which: " + ", ".join(sorted(fitting)))
    if fitting:
        return fitting[0]
    raise InputError(f"no scheme `{name}` in the run", hint=did_you_mean(name, labels))


def image_number(plan: Plan, name: str) -> int:
    """Which of the plan's images has a name.

    Args:
        plan: The plan.
        name: Name of an image.

    Returns:
        Its place in the plan, from 0.

    Raises:
        InputError: The plan has no image of this name.
    """
    if name not in plan.image_names:
        raise InputError(f"no image `{name}` in the run", hint=did_you_mean(name, plan.image_names))
    return plan.image_names.index(name)


def scheme_stream_key(plan: Plan, image: int, scheme: SchemeOnLink) -> StreamKey:
    """The address of an image's stream under a scheme.

    Args:
        plan: The plan.
        image: Number of the image.
        scheme: The scheme.

    Returns:
        The stream's address.
    """
    return stream_key_of(plan, scheme.row, image, scheme.scheme)


def rate_bpp(plan: Plan, cache: CodecCache, scheme: SchemeOnLink, images: Iterable[int]) -> float:
    """Mean rate of all that is sent for some images, parity included.

    Args:
        plan: The plan.
        cache: Has the streams, or encodes.
        scheme: The scheme.
        images: Numbers of at least one image.

    Returns:
        Bit/pixel, mean over the images.
    """
    protection = scheme.scheme.protection
    rates = [
        protected_stream(protection, cache.encode(scheme_stream_key(plan, image, scheme))).sent.bpp for image in images
    ]
    return sum(rates) / len(rates)


def nearest_rate(
    plan: Plan, cache: CodecCache, points: Iterable[SchemeOnLink], images: Iterable[int], near_bpp: float
) -> tuple[SchemeOnLink, float]:
    """The operating point whose rate is nearest to a wanted one.

    Args:
        plan: The plan.
        cache: Has the streams, or encodes.
        points: A scheme's operating points.
        images: Numbers of the images whose mean rate counts.
        near_bpp: The wanted rate, bit/pixel.

    Returns:
        (operating point, its rate); of two equally near the lower one.
    """
    some = list(images)
    rates = [(point, rate_bpp(plan, cache, point, some)) for point in points]
    return min(rates, key=lambda one: (round(abs(one[1] - near_bpp), 9), one[1]))


def operating_point(points: Iterable[SchemeOnLink], name: str) -> SchemeOnLink:
    """The operating point of a name.

    Args:
        points: A scheme's operating points.
        name: ``qp=37``.

    Returns:
        The point.

    Raises:
        InputError: There is none of this name.
    """
    known = {point.scheme.operating_point: point for point in points}
    if name not in known:
        raise InputError(f"no operating point `{name}`", hint=did_you_mean(name, known))
    return known[name]
