"""The example without a hub, on two pods that share a volume, from `kubectl apply` to a model that loads."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cluster.provider import Cluster
from finetune_api.names import ROLE_LABEL
from finetune_api.status import JobStatus
from support.arc_runs import step_lines
from support.example_job import (
    CLAIM,
    EXAMPLE,
    NAME,
    example_job,
    give_code,
    give_data_and_model,
    give_inputs,
    on_different_nodes,
)
from support.helm_release import Release
from support.shell import finetune
from support.workspace import Workspace, condition

TOLERANCE = 1e-5


def test_two_pods_train_what_two_processes_here_train(
    cluster: Cluster,
    release: Release,
    workspace: Workspace,
    model: Path,
    tmp_path: Path,
    tell: Callable[[str], None],
) -> None:
    job = example_job(epochs=4, scheduling=on_different_nodes())
    workspace.apply(job)
    _waits_for_its_inputs(workspace, model)
    workspace.until(NAME, lambda status: bool(status.progress and status.progress.step))
    assert len({pod["spec"]["nodeName"] for pod in workspace.pods(NAME, training=True)}) == 2
    release.upgrade("logFormat=text")
    status = workspace.until_state(NAME, "Complete")

    tell(workspace.kubectl("get", "ftj").rstrip())
    assert [attempt.outcome for attempt in status.attempts] == ["Succeeded"], "the upgrade disturbed the run"
    assert status.restarts == 0
    assert status.dataset
    assert (status.dataset.rows, status.dataset.dropped) == (100, 0)
    assert status.progress
    assert status.progress.step == status.progress.total_steps
    assert {"AttemptStarted", "Succeeded"} <= set(workspace.reasons(NAME))
    _the_commands_tell_the_same(workspace)

    output = cluster.claimed_directory(workspace.namespace, CLAIM)
    if output is None:
        pytest.skip("the files of this cluster's volumes cannot be read from here")
    _the_model_loads(output)
    here, there = _local_losses(job, model, tmp_path), [line["loss"] for line in step_lines(output)]
    assert there == pytest.approx(here, abs=TOLERANCE)
    assert len(there) == status.progress.total_steps
    tell(f"{len(there)} losses of two pods and of two processes here differ by at most {_most_apart(here, there):.1e}")


def _waits_for_its_inputs(workspace: Workspace, model: Path) -> None:
    """What is missing is named while a pod waits for it; the job goes on by itself once it is there."""
    _until_named(workspace, "arc-easy-code")
    assert workspace.pods(NAME) == [], "a pod that cannot run was made"
    give_code(workspace)
    _until_named(workspace, "arc-easy", "arc-easy-model")
    give_data_and_model(workspace, model)


def _until_named(workspace: Workspace, *names: str) -> None:
    def named(status: JobStatus) -> bool:
        return all(any(f'"{name}"' in one.message for one in status.conditions) for name in names)

    assert workspace.until(NAME, named).state in ("Pending", "Preparing")


def _the_commands_tell_the_same(workspace: Workspace) -> None:
    waited = workspace.finetune("wait", NAME, "--timeout", "100s")
    assert waited.returncode == 0, waited.stdout
    shown = workspace.finetune("status", NAME)
    assert "Complete" in shown.stdout
    for options, word in (((), "loss"), (("--all",), "[rank 0] "), (("--prepare",), "rows")):
        log = workspace.finetune("logs", NAME, *options)
        assert log.returncode == 0, log.stdout
        assert word in log.stdout, f"logs {options}: {log.stdout}"
    listed = workspace.kubectl("get", "ftj")
    assert listed.split()[:8] == ["NAME", "STATE", "NODES", "STEP", "LOSS", "ETA", "RESTARTS", "AGE"]


def _the_model_loads(output: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    loaded = AutoModelForCausalLM.from_pretrained(output / "model")
    tokenizer = AutoTokenizer.from_pretrained(output / "model")
    text = tokenizer("Question: What melts?", return_tensors="pt")
    assert loaded(**text).logits.isfinite().all()


def _local_losses(job: dict[str, object], model: Path, work: Path) -> list[float]:
    """The losses of the same job, run on two simulated nodes of this machine."""
    manifest = work / "job.yaml"
    manifest.write_text(yaml.safe_dump(job), encoding="utf-8")
    mounts = {"arc-easy": EXAMPLE, "arc-easy-code": EXAMPLE, "arc-easy-model": model}
    options = [option for name, path in mounts.items() for option in ("--mount", f"{name}={path}")]
    done = finetune("run", manifest, *options, "--output", work / "out", "--nodes", "2", cache=work / "cache")
    assert done.returncode == 0, done.stdout
    return [line["loss"] for line in step_lines(work / "out")]


def _most_apart(some: list[float], others: list[float]) -> float:
    return max(abs(one - other) for one, other in zip(some, others, strict=True))


def test_no_pod_of_the_job_sees_a_token_or_may_do_more_than_restricted(workspace: Workspace, model: Path) -> None:
    give_inputs(workspace, model)
    workspace.apply(example_job(epochs=1))
    workspace.until(NAME, lambda status: condition(status, "DatasetPrepared")[0] == "True")
    prepare = next(pod for pod in workspace.pods(NAME) if pod["metadata"]["labels"][ROLE_LABEL] == "prepare")
    assert prepare["spec"]["automountServiceAccountToken"] is False
    assert not any("projected" in volume for volume in prepare["spec"]["volumes"])
    workspace.kubectl("delete", "finetunejob", NAME, "--cascade=foreground", "--timeout=110s")
    assert workspace.pods(NAME) == []
    for kind in ("services", "networkpolicies"):
        assert workspace.get(kind)["items"] == [], kind
    (claim,) = workspace.get("persistentvolumeclaims")["items"]
    assert claim["metadata"]["name"] == CLAIM, "results outlive their job unless it says otherwise"
