"""Everything about one job."""

from finetune_api.outcomes import Outcome
from finetune_cli.cluster.details import job_details
from support import job_stories as stories


def _told(body: stories.Body, **more: str) -> str:
    traceback = more.get("traceback")
    return "\n".join(line.plain for line in job_details(stories.view(body), stories.NOW, traceback=traceback))


def test_a_running_job_tells_its_progress_attempts_and_conditions() -> None:
    told = _told(stories.training(2))
    assert told.startswith("arc-easy   Running: Attempt 1 trains on 2 nodes.\n")
    assert "namespace team, 2 nodes with 1 rank each, created 10m00s ago" in told
    assert "step 12/40 · 30% · epoch 0.30 · loss 1.2346" in told
    assert "last step 4s ago · last checkpoint at step 10" in told
    lines = [line.split() for line in told.splitlines()]
    assert ["0", "2", "from", "0", "0s", "Failure", "Crashed"] in [line[:7] for line in lines]
    assert ["1", "2", "0", "to", "12", "9m30s", "Running"] in [line[:7] for line in lines]
    assert ["Running", "True", "Training"] in [line[:3] for line in lines]
    assert "last failure  Crashed: rank 0, pod arc-easy-0-0, node node-0, exit code 1" in told


def test_a_failure_names_its_place_its_message_and_the_end_of_the_traceback() -> None:
    told = _told(stories.failed(), traceback="\n".join(f"line {number}" for number in range(50)))
    assert "failure       Diverged: rank 1, pod arc-easy-0-1, node node-1, step 7, exit code 7" in told
    assert "              said Diverged\n                line 30\n" in told
    assert "line 29\n" not in told
    assert "Lower the learning rate" in told


def test_the_status_keeps_the_traceback_of_a_pod_that_is_gone() -> None:
    body = stories.failed()
    body["status"]["failure"]["traceback"] = "Traceback\n  KeyError: 'gold'"
    assert "\n                  KeyError: 'gold'\n" in _told(body)
    assert "KeyError" not in _told(body, traceback="of the pod itself")


def test_an_attempt_tells_what_it_has_that_the_job_does_not_ask_for() -> None:
    body = stories.training()
    assert "s to save" not in _told(body), "120 s is what it asks for"
    body["status"]["attempts"][0] |= {"wantedNodes": 4, "graceSeconds": 310, "avoidedNodes": ["gpu-7"]}
    told = _told(body)
    assert "attempt 0: avoids node gpu-7, 310 s to save" in told
    assert ["0", "2", "of", "4"] in [line.split()[:4] for line in told.splitlines()]


def test_a_complete_job_names_its_model_and_no_failure_and_no_time_left() -> None:
    told = _told(stories.complete())
    assert "model        /output/model" in told
    assert "on claim results" in told
    assert "failure" not in told
    assert "left" not in told


def test_the_prepared_data_is_counted() -> None:
    dataset = {"rows": 100, "tokens": 5120, "dropped": 3, "sha256": "0123456789abcdef"}
    told = _told(stories.training(dataset=dataset))
    assert "dataset       100 rows, 5120 tokens, 3 rows dropped, sha256 0123456789ab" in told


def test_a_job_that_failed_in_the_pod_that_prepares_has_no_attempts() -> None:
    told = _told(stories.failed_to_prepare(Outcome.PREPROCESSING_FAILED), traceback="KeyError: 'gold'")
    assert "pod arc-easy-prepare" in told
    assert "KeyError: 'gold'" in told
    assert "attempts" not in told


def test_what_a_pod_wrote_cannot_move_the_cursor() -> None:
    body = stories.failed()
    body["status"]["failure"]["message"] = "\x1b[2J\x1b[31mgotcha"
    assert "\x1b" not in _told(body, traceback="\x1b]0;title\x07")
