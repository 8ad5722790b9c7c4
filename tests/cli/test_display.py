"""What a person sees while a run goes on."""

import io

from rich.console import Console

from finetune_cli.display import BarDisplay, PlainDisplay, duration, open_display, step_facts

STEP = {
    "event": "step",
    "step": 3,
    "totalSteps": 12,
    "loss": 1.23456,
    "lr": 6e-4,
    "tokensPerSecond": 410.2,
    "etaSeconds": 75,
}


def test_a_step_shows_loss_rate_speed_and_time_left() -> None:
    assert step_facts(STEP) == "3/12 · loss 1.2346 · lr 0.0006 · 410 tokens/s · 1m15s left"


def test_a_number_that_is_not_known_yet_is_left_out() -> None:
    assert step_facts({"step": 1, "totalSteps": 2, "loss": None}) == "1/2"


def test_durations_are_short() -> None:
    assert [duration(seconds) for seconds in (4.4, 185, 7620)] == ["4s", "3m05s", "2h07m"]


def test_without_a_terminal_each_phase_and_each_line_is_shown_once() -> None:
    written: list[str] = []
    display = PlainDisplay(written.append)
    for phase in ("load", "save", "load", "save"):
        display.event({"event": "phase", "phase": phase})
    display.event(STEP)
    display.event({"event": "message", "text": "long warmup", "level": "warning"})
    display.log("step 3/12 loss 1.2")
    assert written == ["loading the model", "saving", "warning: long warmup", "step 3/12 loss 1.2"]


def test_square_brackets_of_a_log_are_no_markup() -> None:
    out = io.StringIO()
    open_display(Console(file=out)).log("[rank 1] [red]hello[/nonsense]")
    assert out.getvalue() == "[rank 1] [red]hello[/nonsense]\n"


def test_a_terminal_shows_the_bar_and_not_the_lines_that_say_the_same() -> None:
    out = io.StringIO()
    display = open_display(Console(file=out, force_terminal=True, width=120))
    assert isinstance(display, BarDisplay)
    display.event({"event": "phase", "phase": "train"})
    display.event(STEP)
    display.log("step 3/12 epoch 0 loss 1.2346")
    display.log("saved a checkpoint")
    display.close()
    assert "saved a checkpoint" in out.getvalue()
    assert "epoch 0" not in out.getvalue()
    assert "410 tokens/s" in out.getvalue()
