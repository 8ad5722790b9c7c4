"""An operator that is killed after any effect of a plan, and started again without memory, ends where it would have."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from finetune_operator.plan import plan
from support.exploring import HISTORIES, JOBS, NAMESPACED
from support.fake_cluster import Planner
from support.mortal import Operator, Story, differences, live, taken_back
from support.mortal_stories import STORIES, happens
from support.plan_mutations import deletes_before_it_records

EXAMPLES = 60


@pytest.mark.parametrize("name", STORIES)
def test_a_death_after_any_effect_changes_nothing(name: str) -> None:
    story = STORIES[name]
    undisturbed = live(story)
    assert undisturbed.effects > 3
    for effect in range(1, undisturbed.effects + 1):
        lived = live(story, dies_after=effect)
        assert lived.deaths == 1
        assert not lived.forgotten
        assert (effect, differences(lived, undisturbed), taken_back(lived)) == (effect, [], [])


@pytest.mark.parametrize(
    ("planner", "order", "name"),
    [
        (deletes_before_it_records, ("delete", "status", "create", "events"), "a crash and a retry"),
        (plan, ("events", "status", "create", "delete"), "success"),
    ],
)
def test_an_operator_that_acts_in_another_order_or_relies_on_its_memory_is_found_out(
    planner: Planner, order: Sequence[str], name: str
) -> None:
    story = STORIES[name]
    undisturbed = live(story, planner=planner, order=order)
    lives = [live(story, effect, planner, order) for effect in range(1, undisturbed.effects + 1)]
    assert any(differences(lived, undisturbed) for lived in lives)


def test_a_death_in_any_history_changes_nothing_but_what_gone_pods_had_to_say(tell: Callable[[str], None]) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(**HISTORIES)
    def walk(chosen: int, steps: list[Any]) -> None:
        story = _story(chosen, steps)
        undisturbed = live(story)
        for effect in range(1, undisturbed.effects + 1):
            lived = live(story, dies_after=effect)
            seen["deaths"] += lived.deaths
            assert taken_back(lived) == []
            if lived.forgotten:
                # A pod's last words went with it, and their only reader with its memory: nobody can know them.
                seen["with what nobody can tell again"] += 1
                continue
            assert differences(lived, undisturbed) == []

    walk()
    tell(f"{EXAMPLES} histories: {dict(seen)}")
    assert seen["with what nobody can tell again"] < seen["deaths"] / 4


def _story(chosen: int, steps: list[Any]) -> Story:
    def begin(operator: Operator) -> None:
        operator.cluster.watches_nodes = chosen != NAMESPACED

    def step(happening: Any, number: int) -> Any:
        return happens(lambda cluster: happening(cluster, number))

    return Story(JOBS[chosen], (begin, *(step(happening, number) for happening, number in steps)))
