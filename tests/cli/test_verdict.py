"""How several nodes' last words become one."""

import signal

from finetune_api.outcomes import Outcome, TerminationMessage
from finetune_cli.verdict import NodeEnd, verdict


def end(node: int, outcome: Outcome, at_ns: int = 0, **fields: object) -> NodeEnd:
    message = TerminationMessage.model_validate({"outcome": outcome, "message": f"node {node}", **fields})
    return NodeEnd(node, message, at_ns)


def test_the_node_whose_rank_was_killed_is_named_before_the_one_that_lost_it() -> None:
    lost = end(1, Outcome.RETRYABLE, at_ns=1)
    killed = end(0, Outcome.CRASHED, at_ns=2, rank=0)
    assert verdict([lost, killed], None).message == "node 0"


def test_success_needs_every_node() -> None:
    assert verdict([end(0, Outcome.SUCCEEDED), end(1, Outcome.SUCCEEDED)], None).outcome is Outcome.SUCCEEDED
    assert verdict([end(0, Outcome.SUCCEEDED), end(1, Outcome.DIVERGED)], None).outcome is Outcome.DIVERGED


def test_one_node_that_did_not_save_spoils_the_drain() -> None:
    ends = [end(0, Outcome.PREEMPTED), end(1, Outcome.RETRYABLE)]
    assert verdict(ends, signal.SIGTERM).outcome is Outcome.RETRYABLE


def test_a_launcher_without_a_last_word_crashed() -> None:
    message = verdict([end(0, Outcome.RETRYABLE), NodeEnd(1, None, 5)], None)
    assert message.outcome is Outcome.CRASHED
    assert "the launcher of node 1" in message.message


def test_a_launcher_killed_for_anothers_failure_is_not_the_cause() -> None:
    ends = [end(0, Outcome.RETRYABLE), NodeEnd(1, None, 5, killed=True)]
    assert verdict(ends, None).message == "node 0"


def test_a_run_killed_on_request_is_interrupted() -> None:
    ends = [NodeEnd(0, None, 5, killed=True)]
    assert verdict(ends, signal.SIGINT).exit_code == 130
    assert verdict(ends, signal.SIGTERM).exit_code == 75
