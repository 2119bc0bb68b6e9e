"""What every task of a run needs: the plan, the store's place, and objects made once per process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from netsim.channels.base import Channel
from netsim.channels.spec import channel_from_spec
from netsim.codec import OperatingPoint
from netsim.decoding.budget import SENT_BPP
from netsim.decoding.store import Store
from netsim.decoding.workshop import CodedPicture, Workshop
from netsim.errors import InputError
from netsim.links.profile import LinkProfile, link_from_spec
from netsim.protection.spec import protection_from_spec
from netsim.scenario.plan import Plan, PlanRow, SchemeSpec

__all__ = ["Job", "coded_picture", "row_channel", "row_link", "workshop"]


@dataclass(frozen=True)
class Job:
    """A run's context, sent to each worker once."""

    plan: Plan
    store_path: Path
    parts: Path


@lru_cache(maxsize=4)
def workshop(store_path: Path) -> Workshop:
    """This process's door to the store."""
    return Workshop(Store(store_path))


def row_channel(row: PlanRow) -> Channel:
    """The row's channel."""
    channel: Channel = channel_from_spec(row.channel)
    return channel


def row_link(row: PlanRow) -> LinkProfile:
    """The row's link."""
    return link_from_spec(row.link)


def coded_picture(plan: Plan, row: PlanRow, image: int, scheme: SchemeSpec) -> CodedPicture:
    """Which stream a slot of this row sends; the link's packet limit, less what protection adds, binds the codec."""
    limit = row_link(row).packet_limit_bytes
    if limit is not None:
        limit -= protection_from_spec(scheme.protection).overhead_bytes
        if limit < 1:
            raise InputError(f"link {row.link_name} leaves no room for a payload under {scheme.protection_name}")
    codec, point = scheme.codec, OperatingPoint(scheme.point_key, scheme.point_value)
    item: Any = plan.images.items[image]
    under = json.dumps(scheme.protection, sort_keys=True) if point.key == SENT_BPP else ""
    return CodedPicture(item, codec.name, codec.settings, point, limit, under)
