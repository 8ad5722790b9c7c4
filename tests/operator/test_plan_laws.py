"""What holds for every plan, over generated histories of jobs and clusters."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, event, given, settings

from finetune_operator.plan import plan
from support.exploring import HISTORIES, explore
from support.plan_laws import LAWS

EXAMPLES = 300


def test_every_plan_keeps_the_laws(tell: Callable[[str], None]) -> None:
    seen: Counter[str] = Counter()
    states: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(**HISTORIES)
    def walk(chosen: int, steps: list[Any]) -> None:
        cluster = explore(plan, chosen, steps, seen)
        state = str(cluster.status.state)
        event(state)
        states[state] += 1

    walk()
    tell(f"states in which {EXAMPLES} histories ended: {dict(states)}")
    for law in LAWS:
        tell(f"{law.__name__}: {seen[law.__name__]} interesting states")
    assert [law.__name__ for law in LAWS if seen[law.__name__] < 5] == []
