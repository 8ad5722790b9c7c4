"""The laws notice what they are there for: each of these mistaken plans breaks the one it should."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from support.exploring import HISTORIES, explore
from support.plan_laws import LawBroken
from support.plan_mutations import MUTATIONS, Mutation

EXAMPLES = 400


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.planner.__name__)
def test_a_mistaken_plan_breaks_its_law(mutation: Mutation) -> None:
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(**HISTORIES)
    def walk(chosen: int, steps: list[Any]) -> None:
        explore(mutation.planner, chosen, steps, Counter(), laws=[mutation.law])

    with pytest.raises(LawBroken):
        walk()
