"""Settings are read from a file whose mistakes are all told at once."""

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic.alias_generators import to_camel

from finetune_api.errors import ConfigInvalid
from finetune_operator.settings import Settings
from finetune_operator.settings_file import load_settings, parse_settings

FILE = """
trainerImage: example.com/trainer@sha256:0123
priorityClasses: [low, high]
serviceAccounts: [reader]
runtimeClasses: [nvidia]
fruitlessDisruptions: 3
pods:
  runAsUser: null
  scratchSize: 20Gi
  imagePullPolicy: IfNotPresent
  imagePullSecrets: [registry]
  fetchEnvironment: {HTTPS_PROXY: "http://proxy:3128"}
  caConfigMap: corporate-ca
network:
  operatorNamespace: platform
  metricsNamespaces: [monitoring]
timing:
  survivorGrace: 2
"""


def mistakes(document: Any) -> list[str]:
    """What is wrong with settings, in sentences."""
    with pytest.raises(ConfigInvalid) as caught:
        parse_settings(document)
    return [str(problem) for problem in caught.value.problems]


def test_a_file_changes_what_it_names_and_leaves_the_rest(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text(FILE)
    read, default = load_settings(tmp_path / "settings.yaml"), Settings()
    assert (read.trainer_image, read.priority_classes) == ("example.com/trainer@sha256:0123", ("low", "high"))
    assert (read.service_accounts, read.runtime_classes, read.fruitless_disruptions) == (("reader",), ("nvidia",), 3)
    assert (read.pods.run_as_user, read.pods.run_as_group) == (None, default.pods.run_as_group)
    assert (read.pods.scratch_size, read.pods.ca_config_map) == ("20Gi", "corporate-ca")
    assert (read.pods.image_pull_policy, read.pods.image_pull_secrets) == ("IfNotPresent", ("registry",))
    assert read.pods.fetch_environment == {"HTTPS_PROXY": "http://proxy:3128"}
    assert (read.network.operator_namespace, read.network.progress_port) == ("platform", 8080)
    assert (read.timing.survivor_grace, read.timing.backoff_most) == (2, default.timing.backoff_most)


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("# nothing\n")
    assert load_settings(tmp_path / "settings.yaml") == Settings()


def test_every_setting_can_be_written_as_it_is_by_default() -> None:
    assert parse_settings(written(Settings())) == Settings()


def written(value: Any) -> Any:
    """A value as a file writes it."""
    if is_dataclass(value):
        return {to_camel(field.name): written(getattr(value, field.name)) for field in fields(value)}
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"trainerImag": "x"}, "settings: trainerImag: unknown key; did you mean trainerImage?"),
        ({"trainer_image": "x"}, "settings: trainer_image: unknown key; did you mean trainerImage?"),
        ({"pods": {"runAsUsr": 1}}, "settings: pods.runAsUsr: unknown key; did you mean runAsUser?"),
        ({"pods": {"runAsUser": "65532"}}, "settings: pods.runAsUser: expected a whole number, got '65532'"),
        ({"pods": {"runAsUser": 0}}, "settings: pods.runAsUser: must be at least 1, got 0"),
        ({"pods": {"scratchSize": "lots"}}, "settings: pods.scratchSize: 'lots' is not a quantity"),
        ({"pods": {"imagePullPolicy": "always"}}, "settings: pods.imagePullPolicy: expected one of Always"),
        ({"priorityClasses": "high"}, "settings: priorityClasses: expected a list, got 'high'"),
        ({"network": {"progressPort": 80}}, "settings: network.progressPort: must be at least 1024, got 80"),
        ({"network": {"operatorLabels": {"a": 1}}}, "settings: network.operatorLabels.a: expected text, got 1"),
        ({"timing": 5}, "settings: timing: expected a mapping, got 5"),
        ([], "settings: expected a mapping of settings"),
    ],
)
def test_a_mistake_is_told_with_its_path(document: Any, said: str) -> None:
    (told,) = mistakes(document)
    assert told.startswith(said)


def test_all_mistakes_are_told_at_once() -> None:
    assert len(mistakes({"trainerImag": "x", "pods": {"fsGroup": -1}, "timing": {"backoffBase": True}})) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "no such file"), ("a: [", "line "), ("a: 1\n---\nb: 2\n", "expected one document, found 2")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "settings.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigInvalid, match=said) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)
