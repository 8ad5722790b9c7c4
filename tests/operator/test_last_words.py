"""Whatever a pod writes as its last words, its job can still be planned, and its status written and read again."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finetune_api.names import PREPARE_ROLE, TRAINER_ROLE
from finetune_api.outcomes import Outcome
from finetune_api.reasons import ALREADY_COMPLETE
from finetune_api.status import DatasetStatus, JobStatus, ProgressStatus
from support.fake_cluster import FakeCluster
from support.operator_jobs import inline_job, job, running

NUMBERS = st.sampled_from([0, -1, 3, 2.5, 1e20, 1e-320, 1.7976931348623157e308, 2**53, 2**63, 10**400, True])
MOMENTS = st.sampled_from(
    ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "0999-01-01T00:00:00Z", "2026-01-01T00:00:00", "soon"]
)
SCALARS = st.one_of(st.none(), NUMBERS, MOMENTS, st.floats(), st.integers(), st.text(max_size=5), st.just("\ud800"))
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner), max_leaves=4
)


LIKELY = st.sampled_from(list(Outcome))
COUNTS = NUMBERS | ANYTHING


def _any_of(*names: str) -> st.SearchStrategy[Any]:
    return ANYTHING | st.fixed_dictionaries({}, optional=dict.fromkeys(names, NUMBERS | MOMENTS | ANYTHING))


def _names(part: Any) -> list[str]:
    return [field.alias for field in part.model_fields.values()]


REASONS = st.sampled_from(["Hang", "PreflightFailed", "Superseded", ALREADY_COMPLETE, "x" * 128, "x" * 500])
WORDS = st.fixed_dictionaries(
    {"outcome": LIKELY},
    optional={
        **dict.fromkeys(("rank", "step", "exitCode"), COUNTS),
        **dict.fromkeys(("message", "traceback"), st.text()),
        "reason": REASONS,
        "progress": _any_of("firstStep", *_names(ProgressStatus)),
        "dataset": _any_of(*_names(DatasetStatus)),
        "hang": _any_of("beats", "frozen"),
        "suspects": st.lists(COUNTS, max_size=4) | ANYTHING,
        "claimedAttempt": COUNTS,
    },
)
MIXED = st.fixed_dictionaries({"outcome": LIKELY | ANYTHING}, optional={"message": ANYTHING, "reason": ANYTHING})
TOLD = WORDS.map(json.dumps) | MIXED.map(json.dumps) | ANYTHING.map(json.dumps) | st.text(max_size=20)


def hear(told: str, code: int, made: dict[str, Any], role: str) -> FakeCluster:
    """Let the first pod of a job leave with these words, and plan until nothing is left to do."""
    cluster = FakeCluster(made)
    cluster.settle()
    if role == TRAINER_ROLE:
        running(cluster)
    else:
        cluster.run_all()
    for pod in cluster.pods(role=role):
        cluster.exit(pod, code, told)
    cluster.settle()
    # What is written as JSON, as the API server holds it, is a status again.
    assert JobStatus.of(json.loads(json.dumps(cluster.job))) == cluster.status
    return cluster


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(told=TOLD, code=st.sampled_from([0, 1, 2, 75, 137, 143]), role=st.sampled_from([TRAINER_ROLE, PREPARE_ROLE]))
def test_no_last_words_keep_a_job_from_being_planned(told: str, code: int, role: str) -> None:
    hear(told, code, job() if role == PREPARE_ROLE else inline_job(), role)


@pytest.mark.parametrize(
    "told",
    [
        '{"outcome": "Crashed", "rank": -1}',
        '{"outcome": "Crashed", "step": -1}',
        '{"outcome": "Crashed", "step": 1e20}',
        '{"outcome": "Crashed", "step": 100000000000000000000}',
        '{"outcome": "Crashed", "exitCode": 70000}',
    ],
)
def test_an_implausible_number_is_passed_over_and_the_rest_believed(told: str) -> None:
    """The rank is that of the pod's only process."""
    cluster = hear(told, 1, inline_job(runPolicy={"maxRestarts": 0}), TRAINER_ROLE)
    failure = cluster.status.failure
    assert failure is not None
    assert (failure.reason, failure.rank, failure.step, failure.exit_code) == ("Crashed", 0, None, 1)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "0999-01-01T00:00:00Z"])
@pytest.mark.parametrize("name", ["lastStepTime", "estimatedCompletionTime"])
def test_a_moment_outside_the_calendar_hides_nothing_else(name: str, moment: str) -> None:
    cluster = hear(json.dumps({"progress": {name: moment, "step": 7}}), 1, inline_job(), TRAINER_ROLE)
    assert cluster.status.progress == ProgressStatus(step=7)


def test_no_end_is_foretold_of_a_run_that_has_ended() -> None:
    told = {"progress": {"estimatedCompletionTime": "2026-02-01T00:00:00Z", "step": 7}}
    cluster = hear(json.dumps(told), 1, inline_job(), TRAINER_ROLE)
    assert cluster.status.progress == ProgressStatus(step=7)
