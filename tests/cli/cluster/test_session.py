"""A cluster that does not answer as it should is told of in a sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from finetune_cli.app import app
from support import job_stories as stories
from support.log_server import ThreadedCluster, kubeconfig_of
from support.ports import free_port


def _status(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", *arguments])


def test_without_a_kubeconfig_the_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    result = _status()
    assert result.exit_code == 69
    assert result.stderr.startswith("finetune: no kubeconfig names a cluster (looked in ")
    assert str(tmp_path / "nothing") in result.stderr


def test_a_cluster_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    file = tmp_path / "config"
    url = f"http://127.0.0.1:{free_port()}"
    file.write_text(json.dumps(kubeconfig_of(url)), encoding="utf-8")
    for command in (["status"], ["logs", "a"], ["wait", "a"]):
        result = CliRunner().invoke(app, [*command, "--kubeconfig", str(file)])
        assert result.exit_code == 69
        assert result.stderr.startswith(f"finetune: the API server at {url} cannot be reached: ")


def test_an_unknown_context_names_those_that_there_are(cluster: ThreadedCluster) -> None:
    result = _status("--context", "prod")
    assert (result.exit_code, "there is no context prod (known: fake)" in result.stderr) == (69, True)


def test_several_kubeconfigs_count_together(
    cluster: ThreadedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "first"
    contexts = [{"name": "mine", "context": {"cluster": "fake", "namespace": "mine"}}]
    first.write_text(json.dumps({"current-context": "mine", "contexts": contexts}), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", f"{first}:{tmp_path / 'nothing'}:{cluster.kubeconfig}")
    assert _status().stderr == "finetune: there are no FinetuneJobs in namespace mine\n"
    assert _status("--context", "fake").stderr == "finetune: there are no FinetuneJobs in namespace team\n"
    assert _status("-n", "other").stderr == "finetune: there are no FinetuneJobs in namespace other\n"


def test_without_the_crd_it_is_said_how_to_install_it(cluster: ThreadedCluster) -> None:
    cluster.server.without_crd = True
    for command in (["status"], ["status", "a"], ["wait", "a"], ["logs", "a", "-f"]):
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 69
        assert "does not know FinetuneJobs; install the operator:\n  helm install finetune-operator" in result.stderr


def test_what_is_forbidden_is_told_in_the_words_of_the_api_server(cluster: ThreadedCluster) -> None:
    words = 'finetunejobs.finetune.dev is forbidden: User "eve" cannot list resource'
    cluster.fail("GET", "finetunejobs", 403, message=words)
    result = _status()
    assert (result.exit_code, result.stderr) == (69, f"finetune: the API server forbids it: {words}\n")


def test_a_job_that_does_not_exist_brings_up_the_nearest_names(cluster: ThreadedCluster) -> None:
    assert "nor any other; name another namespace with -n" in _status("arc-esay").stderr
    cluster.do(lambda server: server.put("finetunejobs", stories.new()))
    assert _status("arc-esay").stderr == (
        "finetune: there is no FinetuneJob arc-esay in namespace team; did you mean arc-easy?\n"
    )
    assert "; there are arc-easy\n" in _status("gpt2").stderr


def test_help_imports_nothing_that_talks_to_a_cluster() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from finetune_cli.app import app; "
        "assert all(CliRunner().invoke(app, [*one, '--help']).exit_code == 0"
        " for one in ([], ['status'], ['logs'], ['wait'], ['render'])); "
        "print({'torch', 'torchx', 'kubernetes', 'kopf', 'aiohttp'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_inside_a_pod_its_service_account_is_used_unless_there_is_a_kubeconfig(
    cluster: ThreadedCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from finetune_operator.cluster import access

    (tmp_path / "token").write_text("secret", encoding="utf-8")
    monkeypatch.setattr(access.has_service_account, "__defaults__", (os.environ, tmp_path))
    monkeypatch.setattr(access.in_cluster, "__defaults__", (os.environ, tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    assert "in namespace team" in _status().stderr
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nothing"))
    assert "certificate authority does not exist" in _status().stderr
