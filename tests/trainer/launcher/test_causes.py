"""The ranking of causes: examples of each kind, and what holds for every combination."""

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune_api.causes import PEER_LOST, Cause, Kind, first_cause, kind_of_message, kind_of_outcome
from finetune_api.outcomes import Outcome, TerminationMessage, exit_code
from finetune_api.reasons import PEER_DRAINED
from finetune_trainer.launcher.causes import End, Stop, decide
from finetune_trainer.launcher.hang import Hang
from finetune_trainer.rank_outcome import RankOutcome


def reported(outcome: Outcome, rank: int = 0, at_ns: int = 0, message: str = "said so") -> End:
    """The end of a rank that left an outcome file."""
    told = RankOutcome(outcome, outcome.value, message, rank, 3, exit_code(outcome), None, at_ns, 1)
    return End(f"rank {rank}", rank, exit_code(outcome), at_ns, False, told)


def silent(code: int | None, rank: int = 0, at_ns: int = 0, stopped: bool = False) -> End:
    """The end of a rank that left none."""
    return End(f"rank {rank}", rank, code, at_ns, stopped)


def test_a_users_mistake_outranks_a_crash_that_came_before() -> None:
    ends = [silent(-9, rank=0, at_ns=1), reported(Outcome.DIVERGED, rank=1, at_ns=2)]
    assert decide(ends, None).outcome is Outcome.DIVERGED


def test_a_kill_outranks_the_broken_collectives_of_its_peers() -> None:
    ends = [reported(Outcome.RETRYABLE, rank=0, at_ns=1), silent(-9, rank=1, at_ns=2)]
    message = decide(ends, None, last_step=8)
    assert (message.outcome, message.rank, message.step) == (Outcome.CRASHED, 1, 8)


def test_peers_killed_by_the_launcher_are_not_the_cause() -> None:
    ends = [silent(-9, rank=0, at_ns=1, stopped=True), reported(Outcome.RETRYABLE, rank=1, at_ns=2)]
    assert decide(ends, None).rank == 1


def test_peers_ended_by_the_agents_sigterm_are_not_the_cause() -> None:
    ends = [silent(-15, rank=0, at_ns=1), silent(17, rank=1, at_ns=2)]
    assert decide(ends, None).rank == 1


def hang(at_ns: int = 5) -> Cause:
    """A hang as the launcher decides it."""
    message = TerminationMessage(outcome=Outcome.RETRYABLE, reason="Hang", message="rank 1 fell silent", rank=1)
    return Hang(message, at_ns, beats=7, frozen=False).cause


def test_a_hang_outranks_the_broken_collectives_and_the_kills_that_it_ends_in() -> None:
    ends = [reported(Outcome.RETRYABLE, rank=0, at_ns=1), silent(-9, rank=1, at_ns=9, stopped=True)]
    assert decide(ends, None, None, hang()).reason == "Hang"


def test_a_hang_is_told_although_the_run_was_asked_to_leave_meanwhile() -> None:
    ends = [silent(-9, rank=rank, at_ns=9, stopped=True) for rank in range(2)]
    assert decide(ends, Stop(signal.SIGTERM, 30.0), None, hang()).reason == "Hang"


def test_a_users_mistake_outranks_a_hang() -> None:
    assert decide([reported(Outcome.DIVERGED, at_ns=9)], None, None, hang()).outcome is Outcome.DIVERGED


def test_of_two_equal_causes_the_first_is_named() -> None:
    ends = [silent(-11, rank=0, at_ns=9), silent(-11, rank=1, at_ns=3)]
    assert decide(ends, None).rank == 1


@pytest.mark.parametrize("code", [2, 3, 4, 5, 6, 7, 75])
def test_a_telling_exit_code_is_believed_without_a_file(code: int) -> None:
    message = decide([silent(code)], None)
    assert message.exit_code == code
    assert f"exit code {code}" in message.message


@pytest.mark.parametrize("code", [0, 1, 17, 130, 143])
def test_a_code_that_promises_something_saved_is_not(code: int) -> None:
    assert decide([silent(code)], None).outcome is Outcome.CRASHED


def test_out_of_memory_is_suspected_after_a_kill_from_nowhere() -> None:
    assert "memory" in decide([silent(-9)], None).message


def test_one_rank_that_could_not_save_spoils_the_drain() -> None:
    ends = [reported(Outcome.PREEMPTED, 0), silent(-9, 1, stopped=True)]
    message = decide(ends, Stop(signal.SIGTERM, 30.0, overdue=True))
    assert (message.outcome, message.exit_code) == (Outcome.RETRYABLE, 75)
    assert "30 s" in message.message


def test_a_node_that_nobody_asked_says_that_it_left_with_another() -> None:
    drained = [reported(Outcome.PREEMPTED, 0)]
    assert decide(drained, None).reason == PEER_DRAINED
    assert decide(drained, Stop(signal.SIGTERM, 30.0)).reason == "Preempted"
    assert decide(drained, Stop(signal.SIGTERM, 30.0, of_rank=True)).reason == PEER_DRAINED


def test_a_torchrun_that_could_not_start_is_retryable() -> None:
    end = End("the torchrun agent", None, 1, 5, False, error="node 0 could not be reached")
    message = decide([silent(None, stopped=True), end], None)
    assert (message.outcome, message.message) == (Outcome.RETRYABLE, "node 0 could not be reached")


def test_a_crash_without_a_traceback_ranks_below_one_with_it() -> None:
    plain = TerminationMessage(outcome=Outcome.CRASHED, message="killed")
    traced = TerminationMessage(outcome=Outcome.CRASHED, message="raised", traceback="Traceback")
    assert kind_of_message(traced) < kind_of_message(plain) < kind_of_outcome(Outcome.RETRYABLE)


def test_who_lost_a_peer_is_not_taken_for_the_peer() -> None:
    lost = TerminationMessage(outcome=Outcome.RETRYABLE, message=f"{PEER_LOST}: RuntimeError: closed", rank=0)
    left = TerminationMessage(outcome=Outcome.RETRYABLE, message="rank 1 left with exit code 75", rank=1)
    kind = kind_of_message(left)
    assert first_cause([Cause(kind, 7, lost), Cause(kind, 8, left)]).message is left
    assert first_cause([Cause(kind, 7, lost), Cause(Kind.STOPPED, 1, left)]).message is lost


def test_torchrun_that_speaks_of_no_rank_does_not_outdo_a_rank_that_lost_a_peer_before() -> None:
    lost = TerminationMessage(outcome=Outcome.RETRYABLE, message=f"{PEER_LOST}: closed", rank=5, traceback="Traceback")
    torchrun = TerminationMessage(outcome=Outcome.RETRYABLE, message="torchrun could not run the ranks of node 0")
    assert first_cause([Cause(Kind.COMMUNICATION, 7, lost), Cause(Kind.COMMUNICATION, 8, torchrun)]).message is lost


messages = st.builds(
    TerminationMessage,
    outcome=st.sampled_from(Outcome),
    rank=st.none() | st.integers(0, 9),
    message=st.text(),
)
causes = st.builds(Cause, st.sampled_from(Kind), st.integers(0, 99), messages)
ends = st.builds(
    End,
    name=st.just("rank"),
    rank=st.integers(0, 9),
    exit_code=st.none() | st.integers(-64, 255),
    at_ns=st.integers(0, 99),
    stopped=st.booleans(),
    outcome=st.none()
    | st.sampled_from(Outcome).map(
        lambda o: RankOutcome(o, o.value, "text", 0, None, exit_code(o), None, 5, 1),
    ),
    error=st.none() | st.just("torchrun failed"),
)
stops = st.none() | st.builds(Stop, st.sampled_from([signal.SIGINT, signal.SIGTERM]), st.just(30.0), st.booleans())


@given(st.lists(causes, min_size=1).flatmap(lambda c: st.tuples(st.just(c), st.permutations(c))))
def test_the_order_of_observation_does_not_matter(pair: tuple[list[Cause], list[Cause]]) -> None:
    first, second = (first_cause(order) for order in pair)
    assert (first.kind, first.at_ns, first.message.rank) == (second.kind, second.at_ns, second.message.rank)


@given(st.lists(causes, min_size=1))
def test_nothing_stronger_and_nothing_earlier_of_the_same_kind_is_passed_over(
    candidates: list[Cause],
) -> None:
    chosen = first_cause(candidates)
    assert all(chosen.kind <= other.kind for other in candidates)
    alike = [other for other in candidates if other.kind == chosen.kind is not Kind.COMMUNICATION]  # of these, echoes
    assert all(chosen.at_ns <= other.at_ns for other in alike)


@given(st.lists(ends, min_size=1), stops)
def test_the_exit_code_always_agrees_with_the_outcome(observed: list[End], stop: Stop | None) -> None:
    message = decide(observed, stop)
    assert message.exit_code == exit_code(message.outcome)
    assert TerminationMessage.parse(message.to_json()) is not None


@given(st.lists(ends, min_size=1), stops)
def test_preempted_and_success_are_only_ever_what_every_process_said(observed: list[End], stop: Stop | None) -> None:
    outcome = decide(observed, stop).outcome
    said = {end.outcome.outcome if end.outcome else None for end in observed}
    if outcome is Outcome.SUCCEEDED:
        assert said == {Outcome.SUCCEEDED}
    if outcome is Outcome.PREEMPTED:
        assert said <= {Outcome.SUCCEEDED, Outcome.PREEMPTED, Outcome.INTERRUPTED}


@given(st.lists(ends, min_size=1), ends.filter(lambda end: end.stopped and end.outcome is None), stops)
def test_a_process_ended_by_the_launcher_never_changes_a_real_cause(
    observed: list[End], victim: End, stop: Stop | None
) -> None:
    before = decide(observed, stop)
    real = {Outcome.RETRYABLE, Outcome.CRASHED} | {o for o in Outcome if kind_of_outcome(o) is Kind.USER}
    if stop is None and before.outcome in real and not all(end.stopped for end in observed):
        after = decide([*observed, victim], stop)
        assert after.outcome in {before.outcome, Outcome.CRASHED}
