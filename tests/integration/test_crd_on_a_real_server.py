"""The definition of FinetuneJobs as a real API server and kubectl understand it."""

import http.client
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.control_plane import ControlPlane
from cluster.rest import APPLY_PATCH, MERGE_PATCH, Body, Rest
from finetune_api.job import load_job
from finetune_api.status import JobStatus
from support.bad_jobs import job
from support.full_status import FULL

EXAMPLES = Path(__file__).parents[2] / "examples" / "arc-easy"
JOBS = "/apis/finetune.dev/v1alpha1/namespaces/default/finetunejobs"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(api_server: ControlPlane) -> Rest:
    return api_server.rest()


def created(server: Rest, **spec: Any) -> Body:
    manifest = {**job(**spec), "metadata": {"name": f"crd-{next(_numbers)}"}}
    return server.send("POST", f"{JOBS}?fieldValidation=Strict", manifest).accepted()


def name_of(body: Body) -> str:
    return str(body["metadata"]["name"])


def write_status(server: Rest, body: Body, status: Body) -> Body:
    return server.send("PUT", f"{JOBS}/{name_of(body)}/status", {**body, "status": status}).accepted()


def applied(server: Rest, manifest: Body) -> Body:
    path = f"{JOBS}/{name_of(manifest)}?fieldManager=gitops&fieldValidation=Strict"
    return server.send("PATCH", path, manifest, APPLY_PATCH).accepted()


def test_the_server_fills_in_the_defaults(server: Rest) -> None:
    spec = created(server, dataset={})["spec"]
    assert spec["nodes"] == 1
    assert spec["dataset"] == {"mountPath": "/data"}
    assert spec["prepare"] == {"mode": "Auto"}
    assert spec["scheduling"] == {"gang": "None"}
    assert spec["runPolicy"] == {"suspend": False, "maxRestarts": 3, "cleanPods": "Running", "gracePeriodSeconds": 120}


def test_the_models_read_a_job_with_and_without_the_servers_defaults_alike(server: Rest) -> None:
    body = created(server, dataset={})
    assert load_job(body).spec == load_job(job(dataset={})).spec


def test_a_job_starts_as_never_observed(server: Rest) -> None:
    status = created(server)["status"]
    assert status["observedGeneration"] == -1
    assert JobStatus.of({"status": status}) == JobStatus()


def test_what_the_configuration_says_is_kept_letter_by_letter(server: Rest) -> None:
    config = {
        **job()["spec"]["config"],
        "max_seq_len": "${variables.length}",
        "variables": {"length": 64},
        "save_interval": "1ep",
        "device_train_microbatch_size": "auto",
        "seed": None,
        "a_key_of_tomorrow": {"nested": [1, None, "x"]},
    }
    assert created(server, config=config)["spec"]["config"] == config


def test_status_is_written_by_itself_and_changes_no_generation(server: Rest) -> None:
    body = created(server)
    with_status = server.send("PATCH", f"{JOBS}/{name_of(body)}", {"status": {"restarts": 7}}, MERGE_PATCH).accepted()
    assert with_status["status"]["restarts"] == 0
    changed = {**with_status, "spec": {**body["spec"], "nodes": 9}}
    after = write_status(server, changed, {"restarts": 7})
    assert after["status"]["restarts"] == 7
    assert after["spec"] == body["spec"]
    assert after["metadata"]["generation"] == body["metadata"]["generation"]


@pytest.mark.parametrize("status", [FULL, JobStatus()], ids=["everything", "nothing"])
def test_the_server_keeps_all_that_the_operator_reports(server: Rest, status: JobStatus) -> None:
    after = write_status(server, created(server), status.to_json())
    assert JobStatus.of(after) == status


def test_applying_the_same_manifest_again_changes_nothing(server: Rest) -> None:
    manifest = {**job(dataset={}, runPolicy={"maxRestarts": 1}), "metadata": {"name": f"crd-{next(_numbers)}"}}
    first = applied(server, manifest)
    operated = write_status(server, first, FULL.to_json())
    assert applied(server, manifest) == operated


def test_taking_the_default_out_of_a_manifest_or_writing_it_down_is_no_change_of_the_spec(server: Rest) -> None:
    manifest = {**job(prepare={"mode": "Auto"}), "metadata": {"name": f"crd-{next(_numbers)}"}}
    first = applied(server, manifest)
    del manifest["spec"]["prepare"]
    assert applied(server, manifest)["metadata"]["generation"] == first["metadata"]["generation"]


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*-job.yaml")), ids=lambda file: file.name)
def test_every_example_is_accepted(server: Rest, file: Path) -> None:
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        answer = server.send("POST", f"{JOBS}?dryRun=All&fieldValidation=Strict", document)
        assert answer.code == http.client.CREATED, answer.message
        assert answer.warnings == ()


def test_kubectl_get_shows_how_a_run_is_doing(api_server: ControlPlane, server: Rest) -> None:
    body = created(server, nodes=2)
    write_status(server, body, FULL.to_json())
    titles, row = api_server.kubectl("get", "ftj", name_of(body)).splitlines()
    assert titles.split() == ["NAME", "STATE", "NODES", "STEP", "LOSS", "ETA", "RESTARTS", "AGE"]
    assert row.split()[:5] == [name_of(body), "Running", "2", "7", "2.5"]
    wide = api_server.kubectl("get", "ftj", name_of(body), "-o", "wide")
    assert wide.splitlines()[0].split()[-2:] == ["MODEL", "IMAGE"]
    assert "example.com/trainer@sha256:0" in wide


def test_kubectl_get_shows_a_job_that_nobody_has_seen_yet(api_server: ControlPlane, server: Rest) -> None:
    row = api_server.kubectl("get", "ftj", name_of(created(server))).splitlines()[1]
    nodes, restarts = row.split()[1:3]  # nothing stands under STATE, STEP, LOSS and ETA
    assert (nodes, restarts) == ("1", "0")


@pytest.mark.parametrize("category", ["all", "finetune"])
def test_jobs_are_listed_with_their_category(api_server: ControlPlane, server: Rest, category: str) -> None:
    assert f"finetunejob.finetune.dev/{name_of(created(server))}" in api_server.kubectl("get", category, "-o", "name")


def test_kubectl_waits_for_a_condition(api_server: ControlPlane, server: Rest) -> None:
    body = created(server)
    write_status(server, body, FULL.to_json())
    assert "condition met" in api_server.kubectl("wait", "--for=condition=Running", f"ftj/{name_of(body)}")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("ftj.spec.config", "The training configuration, with the keys of an LLM Foundry file."),
        ("ftj.spec.config.max_seq_len", "tokens"),
        ("ftj.spec.config.optimizer.lr", "number"),
        ("ftj.spec.runPolicy.maxRestarts", "disruptions do not count"),
        ("ftj.status.conditions.reason", "CamelCase word"),
    ],
)
def test_kubectl_explains_every_field(api_server: ControlPlane, path: str, words: str) -> None:
    # The descriptions are wrapped and indented for a terminal.
    assert words in " ".join(api_server.kubectl("explain", path).split())
