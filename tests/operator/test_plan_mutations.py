"""The laws notice what they are there for: each of these mistaken plans breaks the one it should."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from support.attempt_mutations import ATTEMPT_MUTATIONS
from support.exploring import HISTORIES, PLACING_HISTORIES, explore
from support.plan_case import LawBroken, Mutation
from support.plan_mutations import MUTATIONS

EXAMPLES = 400


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.planner.__name__)
def test_a_mistaken_plan_breaks_its_law(mutation: Mutation) -> None:
    _explore(mutation, HISTORIES)


@pytest.mark.parametrize("mutation", ATTEMPT_MUTATIONS, ids=lambda one: one.planner.__name__)
def test_a_plan_that_treats_attempts_wrongly_breaks_its_law(mutation: Mutation) -> None:
    _explore(mutation, PLACING_HISTORIES)


def _explore(mutation: Mutation, histories: dict[str, Any]) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(**histories)
    def walk(chosen: int, steps: list[Any]) -> None:
        explore(mutation.planner, chosen, steps, Counter(), laws=[mutation.law])

    with pytest.raises(LawBroken):
        walk()
