"""Makes ``import compressai`` work beside a CPU build of torch.

Take compressai from here, so that no import order (or import sorter) can undo the remedy:
``from netcodecs.compressai_import import compressai``.

compressai imports torchvision, whose wheel registers its kernels for a CUDA build of torch. Beside a CPU build its
import fails with ``operator torchvision::nms does not exist``, although nothing here calls that operator. Declaring
the two operators' schemas is enough for the import to go through.
"""

from __future__ import annotations

import torch

__all__ = ["compressai"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_libraries: list[torch.library.Library] = []  # a Library's declarations vanish when it is collected


def _declare_missing_operators() -> None:
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "nms" not in str(error):
            raise
        library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            library.define(schema)
        _libraries.append(library)


_declare_missing_operators()

import compressai  # noqa: E402
import compressai.models.utils  # noqa: E402
