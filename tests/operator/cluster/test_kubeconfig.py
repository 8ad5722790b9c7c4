"""Files as kubectl reads them, and what is said of those that are wrong."""

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cluster.pki import Authority
from finetune_operator.cluster.errors import LoginError
from finetune_operator.cluster.kubeconfig import kubeconfig_files, log_in, read_kubeconfig


def write(path: Path, *, user: dict[str, Any] | None = None, name: str = "one", **cluster: Any) -> Path:
    document = {
        "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": "http://127.0.0.1:1/", **cluster}}],
        "users": [{"name": name, "user": user or {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": f"of-{name}"}}],
    }
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_the_current_context_says_where_and_in_which_namespace(tmp_path: Path) -> None:
    access = log_in(write(tmp_path / "config", user={"token": "t"}))
    assert (access.server, access.namespace) == ("http://127.0.0.1:1", "of-one")
    assert access.authorization() == "Bearer t"


def test_another_context_can_be_chosen_and_a_missing_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a", name="one")
    write(tmp_path / "b", name="two")
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'a'}:{tmp_path / 'nothing'}:{tmp_path / 'b'}")
    assert log_in().namespace == "of-one"
    assert log_in(context="two").namespace == "of-two"
    with pytest.raises(LoginError, match=r"there is no context three \(known: one, two\)"):
        log_in(context="three")


def test_of_two_entries_with_one_name_the_first_counts(tmp_path: Path) -> None:
    files = [write(tmp_path / "a", user={"token": "first"}), write(tmp_path / "b", user={"token": "second"})]
    assert read_kubeconfig(files, required=True).users["one"]["token"] == "first"


def test_the_file_in_the_home_is_read_when_nothing_else_is_named() -> None:
    assert kubeconfig_files(environment={})[0].parts[-2:] == (".kube", "config")


def test_a_token_file_is_found_beside_the_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n", encoding="utf-8")
    assert log_in(write(tmp_path / "config", user={"tokenFile": "token"})).authorization() == "Bearer secret"


def test_a_password_is_sent_as_basic_authorization(tmp_path: Path) -> None:
    access = log_in(write(tmp_path / "config", user={"username": "u", "password": "p"}))
    assert access.authorization() == "Basic dTpw"


def test_certificates_come_from_the_file_itself(tmp_path: Path) -> None:
    authority = Authority()
    pair = authority.client("somebody")
    user = {"client-certificate-data": _coded(pair.certificate), "client-key-data": _coded(pair.key)}
    config = write(
        tmp_path / "config",
        user=user,
        server="https://x",
        **{"certificate-authority-data": _coded(authority.certificate)},
    )
    access = log_in(config)
    assert access.tls is not None
    assert len(access.tls.get_ca_certs()) == 1


def test_a_plugin_gives_the_token(tmp_path: Path) -> None:
    program = tmp_path / "plugin.py"
    program.write_text(
        "import json, os; info = json.loads(os.environ['KUBERNETES_EXEC_INFO'])\n"
        "print(json.dumps({'status': {'token': info['spec']['cluster']['server'] + os.environ['MORE']}}))"
    )
    plugin = {
        "command": sys.executable, "args": [str(program)], "provideClusterInfo": True,
        "env": [{"name": "MORE", "value": "!"}], "apiVersion": "client.authentication.k8s.io/v1",
    }  # fmt: skip
    access = log_in(write(tmp_path / "config", user={"exec": plugin}))
    assert access.authorization() == "Bearer http://127.0.0.1:1/!"


@pytest.mark.parametrize(
    ("user", "message"),
    [
        (
            {"exec": {"command": "no-such-plugin", "installHint": "install it"}},
            "no-such-plugin cannot be run.*install it",
        ),
        ({"exec": {"command": "false"}}, "credential plugin false failed with 1"),
        ({"exec": {"command": "echo"}}, "did not answer with an ExecCredential"),
        ({"tokenFile": "nothing"}, "nothing: cannot be read"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider is no longer supported"),
        ({"client-certificate-data": "YQ=="}, "without a client-key"),
        ({"client-certificate-data": "YQ==", "client-key-data": "YQ=="}, "do not fit"),
    ],
)
def test_a_user_who_cannot_log_in_is_told_why(tmp_path: Path, user: dict[str, Any], message: str) -> None:
    with pytest.raises(LoginError, match=message):
        log_in(write(tmp_path / "config", user=user, server="https://x"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "config: cannot be read"),
        ("{", "config: is not YAML"),
        ("[]", "is not a kubeconfig"),
        ("clusters: {}\n", "no kubeconfig names a cluster"),
        ("clusters: [1]\n", "clusters is not a list of named entries"),
        ("current-context: x\n", "there is no context x"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "config"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(LoginError, match=message):
        log_in(path)


def _coded(text: bytes) -> str:
    return base64.b64encode(text).decode()
