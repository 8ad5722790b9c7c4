"""The pod that fetches and prepares the data, on a CPU, before any training pod exists."""

from collections.abc import Sequence
from typing import Final

from finetune_api.names import prepare_pod_labels, prepare_pod_name
from finetune_operator.children.blueprint import Blueprint, Body
from finetune_operator.children.config_map import CONFIG_FILE
from finetune_operator.children.fetching import Fetch, fetches_of
from finetune_operator.children.gang import queue_labels
from finetune_operator.children.pod import base_environment, container, environment, pod_spec
from finetune_operator.children.quantities import resources_of
from finetune_operator.children.volumes import (
    CA_FILE,
    CERTIFICATES,
    CODE,
    CONFIG,
    FETCHED,
    OUTPUT,
    SCRATCH,
    bodies,
    certificates_of,
    fetching_volumes_of,
    volumes_of,
)

PYTHON: Final = "python"
CACHE: Final = f"{OUTPUT}/prepared"
TERMINATION_LOG: Final = "/dev/termination-log"
_CA_VARIABLES: Final = ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""Where the clients of hubs and buckets look for certificates."""


def build_prepare_pod(job: Blueprint) -> Body:
    """Build the pod; its init container alone reaches the network's sources, and alone sees their secrets."""
    volumes, mounts = bodies(volumes_of(job))
    environment_of_code = environment(base_environment(offline=True))
    prepare = container(job, "prepare", _command(job), environment_of_code, mounts)
    resources = {"resources": resources_of(job.spec.prepare.resources)}
    fetches = fetches_of(job.spec, job.config)
    fetching = [_fetch(job, name, part) | resources for name, part in _by_secret(fetches)]
    fetch = {"initContainers": fetching} if fetching else {}
    certificates, _ = bodies(certificates_of(job) if fetches else [])
    metadata = job.metadata(prepare_pod_name(job.name), _labels(job))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata | {"annotations": dict(job.settings.pods.annotations)},
        "spec": {
            **pod_spec(job),
            **_placement(job),
            **fetch,
            "containers": [prepare | resources],
            "volumes": volumes + certificates,
        },
    }


def _placement(job: Blueprint) -> Body:
    """It needs no GPU, so where the training pods go says nothing of where it does."""
    prepare = job.spec.prepare
    tolerations = [one.model_dump(mode="json") for one in prepare.tolerations]
    optional: Body = {"nodeSelector": dict(prepare.node_selector), "tolerations": tolerations}
    return {key: value for key, value in optional.items() if value}


def _labels(job: Blueprint) -> dict[str, str]:
    return {**job.settings.pods.labels, **queue_labels(job), **prepare_pod_labels(job.name, job.uid)}


def _command(job: Blueprint) -> list[str]:
    # The announcement lies on the output, where launchers that did not prepare look for it.
    command = [PYTHON, "-u", "-m", "finetune_trainer.prepare", "--config", f"{CONFIG}/{CONFIG_FILE}"]
    command += ["--cache", CACHE, "--run-dir", f"{SCRATCH}/run-prepare", *_owner(job)]
    return command + (["--code", CODE] if job.spec.code else [])


def _owner(job: Blueprint) -> list[str]:
    """All containers make sure that the output is the job's before they touch it, and leave last words."""
    resume_from = job.spec.output.resume_from
    options = ["--output", OUTPUT, "--job-uid", job.uid, *(["--resume-from", resume_from] if resume_from else [])]
    return [*options, "--termination-log", TERMINATION_LOG]


def _by_secret(fetches: Sequence[Fetch]) -> list[tuple[str, list[Fetch]]]:
    """Containers by name: one for all, but two where dataset and model have different secrets.

    Equal keys of two secrets would hide each other in one environment. What the configuration names on the hub has no
    secret of its own, and is fetched with that of the input that it belongs to.
    """
    if len({fetch.secret for fetch in fetches if fetch.secret}) < 2:
        return [("fetch", list(fetches))] if fetches else []
    data = [fetch for fetch in fetches if fetch.what in ("dataset", "hub-dataset")]
    return [("fetch", data), ("fetch-model", [fetch for fetch in fetches if fetch not in data])]


def _fetch(job: Blueprint, name: str, fetches: Sequence[Fetch]) -> Body:
    _, mounts = bodies(fetching_volumes_of(job))
    trusted = dict.fromkeys(_CA_VARIABLES, f"{CERTIFICATES}/{CA_FILE}") if job.settings.pods.ca_config_map else {}
    variables = {**trusted, **job.settings.pods.fetch_environment, **base_environment(offline=False)}
    command = [PYTHON, "-u", "-m", "finetune_trainer.fetch", "--to", f"{OUTPUT}/{FETCHED}", *_owner(job)]
    for fetch in fetches:
        command += [f"--{fetch.what}", f"{fetch.uri}@{fetch.revision}" if fetch.revision else fetch.uri]
    secrets = dict.fromkeys(fetch.secret for fetch in fetches if fetch.secret)
    return container(job, name, command, environment(variables), mounts) | {
        "envFrom": [{"secretRef": {"name": secret}} for secret in secrets]
    }
