"""The service account of a pod, whose token is renewed under us."""

from pathlib import Path

import pytest

from cluster.pki import Authority
from finetune_operator.cluster.access import Access, TokenFile, has_service_account, in_cluster
from finetune_operator.cluster.errors import LoginError

POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def account(directory: Path) -> Path:
    (directory / "token").write_text("t1", encoding="utf-8")
    (directory / "namespace").write_text("system\n", encoding="utf-8")
    (directory / "ca.crt").write_bytes(Authority().certificate)
    return directory


def test_a_pod_finds_its_server_namespace_and_token(tmp_path: Path) -> None:
    access = in_cluster(POD, account(tmp_path))
    assert (access.server, access.namespace) == ("https://10.0.0.1:443", "system")
    assert access.authorization() == "Bearer t1"
    assert has_service_account(POD, tmp_path)
    assert in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1"}, tmp_path).server == "https://[fd00::1]:443"


def test_outside_of_a_pod_it_is_said_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(LoginError, match="give a kubeconfig"):
        in_cluster({}, tmp_path)
    assert not has_service_account({}, tmp_path)


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    (account(tmp_path) / "ca.crt").unlink()
    with pytest.raises(LoginError, match=r"ca\.crt: this file .* does not exist"):
        in_cluster(POD, tmp_path)


def test_a_renewed_token_is_read_and_a_missing_one_does_no_harm(tmp_path: Path) -> None:
    now, path = [0.0], tmp_path / "token"
    path.write_text("t1", encoding="utf-8")
    token = TokenFile(path, lambda: now[0])
    path.write_text("t2", encoding="utf-8")
    assert token() == "Bearer t1"
    now[0] = 11.0
    assert token() == "Bearer t2"
    path.unlink()
    now[0] = 22.0
    assert token() == "Bearer t2"


def test_the_proxy_is_the_one_given_or_the_environments_unless_it_leaves_the_server_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert Access("https://10.0.0.1").proxy_used is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert Access("https://10.0.0.1").proxy_used == "http://proxy:3128"
    assert Access("http://10.0.0.1").proxy_used is None
    assert Access("https://10.0.0.1", proxy="http://own:1").proxy_used == "http://own:1"
    monkeypatch.setenv("NO_PROXY", "10.0.0.1")
    assert Access("https://10.0.0.1").proxy_used is None
    assert Access("https://10.0.0.2:6443").proxy_used == "http://proxy:3128"
