"""A mistake in a protection of somebody else is one sentence that names it; own bugs keep their traceback."""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import netsim
from netsim.errors import InputError
from netsim.protection.base import NoProtection, ProtectedStream, Protection
from netsim.registry import register

pytestmark = pytest.mark.usefixtures("empty_registry", "in_tmp_path")


class Twice(ProtectedStream):
    """All packets, then all packets again."""

    def __init__(self, data: Any) -> None:
        super().__init__(data, replace(data, packets=(*data.packets, *data.packets)))

    def recover(self, received: Any) -> Any:
        count = len(self.data)
        return received[..., :count] | received[..., count:]

    def recovered_payloads(self, received: Any) -> Any:
        both = self.recover(received)
        return [one.payload if there else None for one, there in zip(self.data.packets, both, strict=True)]


class Mine(Protection):
    """Everything twice."""

    name = "mine"
    overhead_bytes = 0

    def __init__(self, settings: Any) -> None:
        pass

    def data_packets(self, total: int) -> int:
        return max(1, total // 2)

    def protect(self, stream: Any) -> Any:
        return Twice(stream)


def run(maker: Any) -> Any:
    register("protection", "mine")(maker)
    codec = {"jpeg": {"quality": 30, "packets": 4, "protection": "mine"}}
    keys: dict[str, Any] = {"codecs": [codec], "channels": [{"loss_rate": 0.3}], "engine": "array"}
    return netsim.run({"images": {"samples": ["coffee"]}, "trials": 2, "slots": 2, "seed": 1, **keys})


def with_stream(**body: Any) -> Any:
    kind = type("Twice", (Twice,), body)
    return type("Mine", (Mine,), {"protect": lambda self, stream: kind(stream)})


def test_the_protection_without_a_mistake_runs() -> None:
    assert len(run(Mine).slots) == 4


def shorter(self: Any, data: Any) -> None:
    ProtectedStream.__init__(self, data, replace(data, packets=data.packets[1:]))


def nothing(self: Any, data: Any) -> None:
    ProtectedStream.__init__(self, data, None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("maker", "message", "hint"),
    [
        (type("Mine", (Mine,), {"protect": lambda self, stream: None}), "protect returns None", "ProtectedStream"),
        (with_stream(__init__=nothing), "what is sent is None", "super().__init__(data, sent)"),
        (with_stream(__init__=shorter), "what is sent does not begin with the data packets", "unchanged and in order"),
        (
            with_stream(recover=lambda self, received: received),
            "recover returns bool [1, 4] for bool [1, 4]",
            "bool [..., 2]: which data packets are available",
        ),
        (
            with_stream(recover=lambda self, received: Twice.recover(self, received).astype(int)),
            "recover returns int64 [1, 2] for bool [1, 4]",
            "bool [..., 2]",
        ),
        (
            with_stream(recovered_payloads=lambda self, received: [b"x" for _ in self.data.packets]),
            "recovered_payloads gives other bytes than were sent",
            "it must give the 2 data packets' payloads",
        ),
        (
            with_stream(recovered_payloads=lambda self, received: None),
            "recovered_payloads gives other bytes than were sent",
            "without packet 0, 1 it must give",
        ),
    ],
)
def test_a_wrong_return_value_is_one_sentence(maker: Any, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        run(maker)
    assert caught.value.message == f"protection `mine`: {message}"
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("maker", "message", "hint"),
    [
        (lambda settings: Mine, "it makes the class Mine, not a protection", "a subclass of netsim.Protection"),
        (lambda: Mine(None), "it can't be called with its settings: <lambda>()", "__init__(self, settings)"),
        (type("Mine", (Mine,), {"name": None}), "the name of Mine is None", 'name = "mine", as in logs'),
        (
            type("Half", (Protection,), {"name": "half"}),
            "Half has no method `data_packets`",
            "data_packets(self, total)",
        ),
    ],
)
def test_a_protection_at_fault_is_refused_before_anything_runs(maker: Any, message: str, hint: str) -> None:
    if isinstance(maker, type) and maker.__name__ == "Half":
        maker.__init__ = lambda self, settings: None  # type: ignore[misc]
    with pytest.raises(InputError) as caught:
        run(maker)
    assert message in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.where.startswith("codecs[0].jpeg.protection")


def test_a_bug_inside_a_protection_keeps_a_traceback_that_ends_in_its_file() -> None:
    def bug(self: Any, received: Any) -> Any:
        return {}["x"]

    with pytest.raises(KeyError) as caught:
        run(with_stream(recover=bug))
    assert traceback.extract_tb(caught.value.__traceback__)[-1].name == "bug"
    assert caught.value.__notes__ == ["in recover of protection `mine`"]


def test_a_codecs_packets_may_be_a_list() -> None:
    from netsim.codec import OperatingPoint, Packet, Stream
    from netsim.protection.calls import protected_stream

    stream = Stream([Packet(b"a"), Packet(b"b")], (8, 8), OperatingPoint("bpp", 1))  # type: ignore[arg-type]
    assert len(protected_stream(NoProtection(), stream).sent) == 2
    assert protected_stream(Mine(None), stream).recover(np.array([[True, False, False, True]])).all()
