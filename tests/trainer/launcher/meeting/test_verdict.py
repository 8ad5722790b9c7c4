from typing import Any

import pytest

from finetune_trainer.launcher.meeting.facts import NodeFacts
from finetune_trainer.launcher.meeting.verdict import MIB, Account, Verdict, judge
from support.meetings import facts


def account(rank: int, rates: tuple[float, ...] = (1e9, 1e9), **more: Any) -> Account:
    fields = {name: more.pop(name) for name in ("skew", "reported", "unreached") if name in more}
    return Account(facts(rank, **more), rates=rates, **fields)


def nodes(count: int, **changes: Account) -> dict[int, Account]:
    return {rank: changes.get(f"n{rank}", account(rank)) for rank in range(count)}


def test_good_nodes_pass_with_a_line_each() -> None:
    verdict = judge(nodes(2), None)
    assert verdict.fault is None
    assert verdict.nodes[1] == "node 1 (job-0-1): 8.00 Gbit/s, /dev/shm 1 GiB, clock +0.0 s"


@pytest.mark.parametrize(
    ("pairs", "suspects"),
    [
        ([(1, 2)], [1, 2]),
        ([(1, 2), (2, 1)], [1, 2]),
        ([(0, 2), (1, 2), (3, 2)], [2]),
        ([(2, 0), (2, 1), (2, 3)], [2]),
        ([(0, 1), (2, 1), (4, 3), (5, 3)], [1, 3]),
        ([(0, 2), (0, 3), (1, 2), (1, 3)], [0, 1]),
    ],
)
def test_the_fewest_nodes_that_explain_all_are_suspected(pairs: list[tuple[int, int]], suspects: list[int]) -> None:
    unreached = {a: {b: "dropped" for x, b in pairs if x == a} for a in range(6)}
    verdict = judge({rank: account(rank, unreached=unreached[rank]) for rank in range(6)}, None)
    assert verdict.suspects == suspects
    assert "cannot talk to" in str(verdict.fault)


def test_a_node_that_reports_about_nodes_that_do_not_exist_harms_nobody() -> None:
    assert judge(nodes(2, n1=account(1, unreached={17: "made up"})), None).fault is None


def test_a_slow_node_is_a_warning_and_its_neighbour_is_not() -> None:
    slow = nodes(5, n1=account(1, rates=(1e8, 1e8)), n2=account(2, rates=(1e9, 1e8)), n3=account(3, rates=(3e8,)))
    verdict = judge(slow, None)
    assert verdict.fault is None
    assert verdict.warnings == ["node 1 (job-0-1) is slow: 0.80 Gbit/s, where the others have 8.00"]


@pytest.mark.parametrize(("size", "ranks", "fine"), [(63 * MIB, 2, False), (64 * MIB, 2, True), (1, 1, True)])
def test_dev_shm_has_to_suffice_for_several_ranks(size: int, ranks: int, fine: bool) -> None:
    verdict = judge(nodes(2, n1=account(1, shared_memory=size, ranks=ranks)), None)
    assert (verdict.fault is None) is fine
    assert verdict.suspects == ([] if fine else [1])


def test_what_all_nodes_have_in_common_is_no_machines_fault() -> None:
    small = {rank: account(rank, shared_memory=MIB, ranks=2) for rank in range(2)}
    verdict = judge(small, None)
    assert verdict.suspects == []
    assert "/dev/shm" in str(verdict.fault)


@pytest.mark.parametrize(
    ("free", "needed", "fault", "warning"),
    [
        (10, 11, False, True),
        (11, 11, False, False),
        (0, None, True, False),
        (0, 11, True, False),
        (1, None, False, False),
    ],
)
def test_an_output_too_small_for_a_checkpoint_is_a_warning_and_a_full_one_a_fault(
    free: int, needed: int | None, fault: bool, warning: bool
) -> None:
    verdict = judge({rank: account(rank, output_free=free) for rank in range(2)}, needed)
    assert (verdict.fault is not None, bool(verdict.warnings)) == (fault, warning)
    assert all("has 10 B free, and a checkpoint takes 11 B" in text for text in verdict.warnings)


def test_what_is_free_where_checkpoints_go_counts_and_not_what_is_free_in_the_output() -> None:
    tight = judge({rank: account(rank, output_free=99, save_free=10) for rank in range(2)}, 11)
    assert ["the save_folder volume of " in text for text in tight.warnings] == [True]
    assert not judge({rank: account(rank, output_free=10, save_free=99) for rank in range(2)}, 11).warnings


def test_what_the_system_does_not_tell_is_not_held_against_it() -> None:
    assert judge({0: Account(NodeFacts("mac", 0.0, ranks=8))}, 5).fault is None


def test_what_is_no_list_of_warnings_is_none() -> None:
    told = {"suspects": [], "warnings": 5, "nodes": {"a": 1}}
    assert Verdict.from_json(told) == Verdict()


def test_a_verdict_survives_the_wire() -> None:
    verdict = Verdict("node 1 fell silent", [1], ["slow"], ["node 0: fine"])
    assert Verdict.from_json(verdict.to_json()) == verdict


@pytest.mark.parametrize("told", [None, {}, [], {"suspects": "all"}])
def test_what_is_no_verdict_is_not_taken_for_a_clean_one(told: object) -> None:
    with pytest.raises(ValueError, match="not a verdict"):
        Verdict.from_json(told)
