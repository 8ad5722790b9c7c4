"""How many nodes the next attempt has."""

from finetune_api.config import check_world
from finetune_api.errors import ConfigInvalid
from finetune_operator.view import View


def next_nodes(view: View) -> int:
    """Return `spec.nodes`, which may change within `elastic`; of a number that cannot share the global batch equally,
    the next smaller one that can, and where there is none, that of the last attempt.
    """
    wanted, last = view.spec.nodes, view.attempt
    if view.spec.elastic is None:
        return wanted
    return fitting_nodes(view, wanted) or (last.nodes if last else wanted)


def fitting_nodes(view: View, most: int) -> int | None:
    """Return the largest number of nodes, at most `most`, on which an elastic job can go on; None: there is none."""
    elastic = view.spec.elastic
    if elastic is None:
        return None
    return next((nodes for nodes in range(most, elastic.min_nodes - 1, -1) if _share(view, nodes)), None)


def _share(view: View, nodes: int) -> bool:
    try:
        check_world(view.plans.config, nodes * view.plans.processes)
    except ConfigInvalid:
        return False
    return True
