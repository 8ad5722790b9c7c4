from faults.case import SAVED_EVERY, STEPS
from faults.cases import CASES, SEED
from faults.jobs import struck
from faults.strikes import STRIKES
from finetune_api.job import load_job
from finetune_api.outcomes import ENDINGS, RetryPolicy


def test_there_are_forty_one_cases_of_different_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES) == 41


def test_every_exit_code_that_is_not_retried_has_its_case() -> None:
    codes = {ending.exit_code for ending in ENDINGS if ending.retry is RetryPolicy.NEVER}
    assert {f"exit-{code}" for code in codes} <= {case.name for case in CASES}


def test_every_strike_is_known_and_used() -> None:
    assert {case.outside for case in CASES} == set(STRIKES)


def test_a_rank_that_does_nothing_itself_is_struck_from_outside() -> None:
    assert [case.name for case in CASES if case.inside == "pass" and not case.outside] == []


def test_the_seed_decides_whom_and_when() -> None:
    assert [case.drawn(SEED) for case in CASES] == [case.drawn(SEED) for case in CASES]
    assert [case.drawn(SEED) for case in CASES] != [case.drawn(SEED + 1) for case in CASES]


def test_steps_are_struck_after_the_first_checkpoint_and_before_the_end() -> None:
    steps = [case.drawn(seed)[1] for seed in range(20) for case in CASES if case.when.point in ("step", "row", "save")]
    assert min(steps) > SAVED_EVERY
    assert max(steps) < STEPS


def test_every_job_is_one_that_the_operator_accepts() -> None:
    for case in CASES:
        load_job(struck(case, case.name, "faults", SEED))
