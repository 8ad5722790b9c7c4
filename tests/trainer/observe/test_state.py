import json
import math
import threading

import pytest

from finetune_api.status import DatasetStatus, ProgressStatus
from finetune_trainer.observe import RunState
from finetune_trainer.observe.state import DatasetFacts


def test_a_new_run_knows_its_phase_and_nothing_else() -> None:
    snapshot = RunState().snapshot()
    assert snapshot["phase"] == "import"
    assert snapshot["step"] == 0
    assert snapshot["loss"] is snapshot["totalSteps"] is snapshot["percent"] is snapshot["etaSeconds"] is None


def test_what_is_told_of_the_data_has_the_names_of_the_jobs_status() -> None:
    state = RunState()
    state.update(dataset=DatasetFacts(rows=3, tokens=9, dropped=1, sha256="abc"))
    told = DatasetStatus.model_validate(state.snapshot()["dataset"])
    assert told == DatasetStatus(rows=3, tokens=9, dropped=1, sha256="abc")


def test_all_of_a_jobs_progress_is_told_under_its_own_names_but_the_end_which_is_told_in_seconds() -> None:
    names = {field.alias for field in ProgressStatus.model_fields.values()}
    assert names - set(RunState().snapshot()) == {"estimatedCompletionTime"}


def test_an_update_changes_the_named_fields_and_keeps_the_others() -> None:
    state = RunState()
    state.update(phase="train", step=3, total_steps=12, loss=2.5)
    state.update(step=6, tokens_per_second=800.0)
    snapshot = state.snapshot()
    assert (snapshot["phase"], snapshot["step"], snapshot["loss"]) == ("train", 6, 2.5)
    assert snapshot["tokensPerSecond"] == 800.0


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TypeError, match="los"):
        RunState().update(los=1.0)  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_cannot_carry_becomes_null(value: float) -> None:
    state = RunState()
    state.update(loss=value)
    assert json.loads(json.dumps(state.snapshot(), allow_nan=False))["loss"] is None


def test_the_percentage_never_passes_a_hundred() -> None:
    state = RunState()
    state.update(step=6, total_steps=12)
    assert state.snapshot()["percent"] == 50.0
    state.update(step=13)
    assert state.snapshot()["percent"] == 100.0


def test_a_reader_never_sees_half_an_update() -> None:
    state = RunState()
    stop = threading.Event()

    def write() -> None:
        step = 0
        while not stop.is_set():
            step += 1
            state.update(step=step, loss=float(step))

    writer = threading.Thread(target=write)
    state.update(step=0, loss=0.0)
    writer.start()
    try:
        for _ in range(2000):
            snapshot = state.snapshot()
            assert snapshot["step"] == snapshot["loss"]
    finally:
        stop.set()
        writer.join()
