"""How many nodes the next attempt has."""

from finetune_api.config import check_world
from finetune_api.errors import ConfigInvalid
from finetune_operator.view import View


def next_nodes(view: View) -> int:
    """Return `spec.nodes`, which may change within `elastic`; of a number that cannot share the global batch equally,
    the next smaller one that can, and where there is none, that of the last attempt.
    """
    wanted, elastic, last = view.spec.nodes, view.spec.elastic, view.attempt
    if elastic is None or last is None:
        return wanted
    return next((nodes for nodes in range(wanted, elastic.min_nodes - 1, -1) if _share(view, nodes)), last.nodes)


def _share(view: View, nodes: int) -> bool:
    try:
        check_world(view.plans.config, nodes * view.plans.processes)
    except ConfigInvalid:
        return False
    return True
