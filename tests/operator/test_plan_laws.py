"""What holds for every plan, over generated histories of jobs and clusters."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from finetune_operator.plan import plan
from support.attempt_laws import ATTEMPT_LAWS
from support.exploring import HISTORIES, PLACING_HISTORIES, explore
from support.plan_case import Law
from support.plan_laws import LAWS

EXAMPLES = 300


OTHERS = [law for law in LAWS if law not in ATTEMPT_LAWS]
WALKS = [(HISTORIES, OTHERS), (PLACING_HISTORIES, ATTEMPT_LAWS)]


@pytest.mark.parametrize(("histories", "exercised"), WALKS, ids=["any job", "jobs on bad nodes"])
def test_every_plan_keeps_the_laws(
    histories: dict[str, Any], exercised: Sequence[Law], tell: Callable[[str], None]
) -> None:
    seen: Counter[str] = Counter()
    states: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(**histories)
    def walk(chosen: int, steps: list[Any]) -> None:
        cluster = explore(plan, chosen, steps, seen)
        state = str(cluster.status.state)
        event(state)
        states[state] += 1

    walk()
    tell(f"states in which {EXAMPLES} histories ended: {dict(states)}")
    for law in LAWS:
        tell(f"{law.__name__}: {seen[law.__name__]} interesting states")
    assert [law.__name__ for law in exercised if seen[law.__name__] < 5] == []
