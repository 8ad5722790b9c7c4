"""Keeps pods away from nodes on which the attempt before failed, whatever affinity the job has itself."""

from collections.abc import Sequence
from typing import Any, Final

from finetune_api.job.policies import REQUIRED
from finetune_operator.children.blueprint import Body

_NAME: Final = "metadata.name"


def avoiding(affinity: Body, nodes: Sequence[str]) -> Body:
    """Return `affinity` with the demand that the pod is on none of `nodes`."""
    if not nodes:
        return affinity
    to_nodes = affinity.get("nodeAffinity") or {}
    given = to_nodes.get(REQUIRED)
    required = {} if given is None else given
    terms = [_without({}, nodes)] if given is None else [term and _without(term, nodes) for term in _terms(given)]
    return {**affinity, "nodeAffinity": {**to_nodes, REQUIRED: {**required, "nodeSelectorTerms": terms}}}


def _terms(required: Body) -> list[Body]:
    return required.get("nodeSelectorTerms") or []


def _without(term: Any, nodes: Sequence[str]) -> Body:
    """A pod may go where one of its terms holds, so each of them has to; an empty one holds nowhere and stays so."""
    # Kubernetes takes one name in each requirement on a field.
    names = [{"key": _NAME, "operator": "NotIn", "values": [node]} for node in nodes]
    return {**term, "matchFields": [*(term.get("matchFields") or []), *names]}
