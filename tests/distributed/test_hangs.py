"""Real ranks that hang under the launcher and torchrun: the one that holds up the other is named, with its stack."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from finetune_api.config import parse_training_config
from finetune_api.outcomes import Outcome
from support.arc_runs import EXAMPLE, arc_config
from support.launching import Launched, launch
from support.models import tiny_gpt2
from support.ports import free_port
from support.shell import quiet_environment

pytestmark = pytest.mark.distributed

REAL = {
    "worker-module": "support.struck",
    "prepare-module": "finetune_trainer.prepare",
    "agent-module": "finetune_trainer.launcher.agent",
    "code": EXAMPLE,
    "step-timeout": 10,
    "phase-timeouts": "save=10",
    "launcher": "support.patient_launcher",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hangs")
    config = parse_training_config(arc_config(tiny_gpt2(folder / "tiny")), ["save_interval=2ba"]).config
    (folder / "config.json").write_text(json.dumps(config.resolved()))
    return folder


@pytest.fixture
def struck(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Starts launchers whose ranks are struck; whatever is left of them is killed after the test."""
    for name, value in quiet_environment(root / "cache").items():
        monkeypatch.setenv(name, value)
    with ExitStack() as stack:

        def start(rank: int, point: str, how: str, **options: Any) -> Launched:
            monkeypatch.setenv("STRIKE", json.dumps({"rank": rank, "point": point, "how": how}))
            shared = {"config": root / "config.json", "cache": root / "cache", **REAL, **options}
            return stack.enter_context(launch(tmp_path, {0: {}, 1: {}}, **shared))

        yield start


@pytest.mark.parametrize(
    ("rank", "point", "where", "function"),
    [(1, "row", "in step 3", "wait_for_ever"), (0, "save", "while it saved step 2", "wait_for_ever")],
)
def test_a_rank_that_waits_for_its_data_or_its_volume_is_named_with_its_stack(
    struck: Any, rank: int, point: str, where: str, function: str
) -> None:
    launched = struck(rank, point, "block")
    message = launched.finish(timeout=500)
    assert (message.outcome, message.reason, message.rank, message.step) == (Outcome.RETRYABLE, "Hang", rank, 2)
    assert where in message.message
    assert message.traceback.splitlines()[-1].endswith(f"in {function}")
    assert "_one_step" in message.traceback or "_save" in message.traceback
    assert launched.survivors() == []


def test_of_two_nodes_the_one_whose_rank_is_frozen_names_it_and_the_other_blames_nobody(struck: Any) -> None:
    shared = {"nnodes": 2, "nproc-per-node": 1, "master-port": free_port(), "no-preflight": True}
    nodes = [struck(1, "step", "stop", **shared, **{"node-rank": node}) for node in range(2)]
    waits, frozen = (node.finish(timeout=500) for node in nodes)
    facts = [json.loads((node.dir.path / "termination.json").read_text()).get("hang") for node in nodes]
    assert (frozen.reason, frozen.rank, frozen.step, facts[1]["frozen"]) == ("Hang", 1, 2, True)
    # On a machine that is slow it loses its peer before it knows that both hang.
    assert (waits.outcome, waits.rank, waits.reason in ("Hang", "Retryable")) == (Outcome.RETRYABLE, 0, True)
    if waits.reason == "Hang":
        assert facts[1]["beats"] < facts[0]["beats"]
        assert not facts[0]["frozen"]
        assert waits.traceback.endswith("in all_reduce")
