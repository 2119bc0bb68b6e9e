"""No module of netsim or the codecs imports itself through others, not even inside a function."""

from __future__ import annotations

from graphlib import TopologicalSorter

import grimp


def test_no_circle_of_imports() -> None:
    graph = grimp.build_graph("netsim", "netcodecs", exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 300
    order = list(TopologicalSorter(imports).static_order())  # raises CycleError, which names the circle
    assert order.index("netsim.errors") < order.index("netsim.cli")
