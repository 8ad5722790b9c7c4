"""What a seed comes to."""

import dataclasses
import random

from soak import real
from soak.script import FREE_LIMIT, NODES, Ending, Fault, Kind, draw


def test_the_same_seed_is_the_same_script() -> None:
    random.seed(1)
    first = draw(7, 50)
    random.seed(2)
    assert draw(7, 50) == first


def test_another_seed_is_another_script() -> None:
    assert draw(7, 50) != dataclasses.replace(draw(8, 50), seed=7)


def test_in_a_few_soaks_everything_happens() -> None:
    scripts = [draw(seed, 200) for seed in range(5)]
    stories = [story for script in scripts for story in script.stories]
    assert {act.kind for story in stories for act in (*story.acts, *story.preparing)} == set(Kind)
    assert {story.ending for story in stories} == set(Ending)
    assert {stroke.fault for script in scripts for stroke in script.strokes} == set(Fault)


def test_every_story_comes_to_an_end_and_has_a_name_of_its_own() -> None:
    script = draw(3, 200)
    assert len({story.name for story in script.stories}) == 200
    for story in script.stories:
        last = {Ending.RUN: Kind.SUCCEED, Ending.OVERTIME: Kind.OVERTIME}.get(story.ending)
        assert (story.acts[-1].kind if story.acts else None) == last


def test_ranks_and_nodes_exist() -> None:
    script = draw(4, 200)
    assert all(0 <= act.rank < story.nodes for story in script.stories for act in story.acts)
    assert all(0 <= stroke.node < NODES for stroke in script.strokes)


def test_nodes_are_edited_only_where_the_job_is_elastic() -> None:
    script = draw(5, 200)
    edited = [story for story in script.stories if any(act.kind is Kind.RESIZE for act in story.acts)]
    assert edited
    assert all(story.elastic for story in edited)


def test_some_stories_are_nothing_but_disruptions() -> None:
    free = {
        Kind.DRAIN,
        Kind.SHUTDOWN,
        Kind.EVICTED,
        Kind.REJECTED,
        Kind.EVICTION,
        Kind.POD_DELETED,
        Kind.POD_REMOVED,
        Kind.SUPERSEDED,
    }
    stories = [story for story in draw(6, 200).stories if story.acts]
    assert any({act.kind for act in story.acts[:FREE_LIMIT]} <= free for story in stories)


def test_real_jobs_suffer_the_same_for_the_same_seed() -> None:
    assert real.draw(7) == real.draw(7) != real.draw(8)
    assert len(real.draw(7)) == real.JOBS
