"""Real ranks that are asked to leave before they have met, under the launcher and torchrun."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import parse_training_config
from finetune_api.outcomes import Outcome
from finetune_trainer.heartbeat import read_beat
from support.arc_runs import EXAMPLE, arc_config
from support.launching import Launched, launch, wait_until
from support.models import tiny_gpt2
from support.shell import quiet_environment

pytestmark = pytest.mark.distributed

REAL = {
    "worker-module": "support.late_worker",
    "prepare-module": "finetune_trainer.prepare",
    "agent-module": "finetune_trainer.launcher.agent",
    "code": EXAMPLE,
    "grace": 90,
}


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Launched]:
    """Two ranks, of which the first has seen the data and the other one still reads its libraries."""
    config = parse_training_config(arc_config(tiny_gpt2(tmp_path / "tiny")), ["max_duration=2ba"]).config
    (tmp_path / "config.json").write_text(json.dumps(config.resolved()))
    for name, value in {**quiet_environment(tmp_path / "cache"), "LIBRARIES": str(tmp_path / "libraries")}.items():
        monkeypatch.setenv(name, value)
    with launch(tmp_path, {0: {}, 1: {}}, **REAL) as launched:
        launched.rank(1)
        wait_until(lambda: _phase(launched, 0) == "load", timeout=300)
        assert _phase(launched, 1) == "import"
        yield launched


def _phase(launched: Launched, rank: int) -> str | None:
    beat = read_beat(launched.dir.heartbeat_file(rank))
    return beat.phase if beat else None


@pytest.mark.parametrize(("who", "reason"), [("launcher", "Preempted"), ("1", "PeerDrained")])
def test_a_rank_that_is_late_joins_the_one_that_waits_for_it_and_both_leave(
    late: Launched, tmp_path: Path, who: str, reason: str
) -> None:
    late.send(signal.SIGTERM, who)
    (tmp_path / "libraries").touch()
    message: Any = late.finish(timeout=300)
    assert (message.outcome, message.reason, message.step) == (Outcome.PREEMPTED, reason, None)
    assert "before the first step" in message.message
    assert late.survivors() == []
