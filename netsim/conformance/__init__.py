"""Does a codec keep its contract? A battery that anybody runs on their own class (``netsim check-codec NAME``).

Each check is one sentence of ``netsim.codec.Codec``, tried out on real streams; a codec that breaks one is
told which, and how.
"""

from netsim.conformance.battery import CheckResult, check_codec
from netsim.conformance.checks import CHECKS

__all__ = ["CHECKS", "CheckResult", "check_codec"]
