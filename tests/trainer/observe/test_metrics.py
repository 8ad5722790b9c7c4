import math

from finetune_trainer.observe import RunState
from finetune_trainer.observe.metrics import GAUGES, exposition, registry_of


def _scrape(state: RunState) -> dict[str, float]:
    lines = exposition(registry_of(state)).decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_every_known_fact_is_a_metric() -> None:
    state = RunState()
    state.update(phase="train", step=7, total_steps=12, epoch=0, loss=2.5, eval_loss=3.0, lr=6e-4)
    state.update(tokens_per_second=812.5, eta_seconds=10.0, last_checkpoint_step=5, last_checkpoint_time=1.5e9)
    state.update(last_step_time=1.6e9, step_seconds=2.5, save_seconds=4.0)
    samples = _scrape(state)
    assert {name for _, name, _ in GAUGES} <= samples.keys()
    assert samples["finetune_step"] == 7
    assert samples["finetune_learning_rate"] == 6e-4
    assert samples["finetune_last_checkpoint_timestamp_seconds"] == 1.5e9


def test_a_fact_that_is_not_known_yet_is_absent_rather_than_zero() -> None:
    samples = _scrape(RunState())
    assert "finetune_loss" not in samples
    assert "finetune_last_checkpoint_step" not in samples


def test_exactly_the_phase_under_way_is_one() -> None:
    state = RunState()
    state.update(phase="eval")
    phases = {name: value for name, value in _scrape(state).items() if name.startswith("finetune_phase")}
    assert [name for name, value in phases.items() if value] == ['finetune_phase{phase="eval"}']
    assert len(phases) == 8


def test_a_loss_that_is_not_a_number_stays_visible_to_an_alert() -> None:
    state = RunState()
    state.update(loss=math.nan)
    assert math.isnan(_scrape(state)["finetune_loss"])


def test_two_runs_in_one_process_do_not_collide() -> None:
    first, second = RunState(), RunState()
    first.update(step=1)
    second.update(step=2)
    assert (_scrape(first)["finetune_step"], _scrape(second)["finetune_step"]) == (1.0, 2.0)
