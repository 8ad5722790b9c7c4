"""The settings that the chart renders are the ones that the operator reads."""

from dataclasses import replace
from pathlib import Path

import yaml

from finetune_operator.settings import Settings
from finetune_operator.settings_file import load_settings, parse_settings
from support.charts import CHART, NAME, NAMESPACE, only, render

LABELS = {
    "app.kubernetes.io/name": "finetune-operator",
    "app.kubernetes.io/instance": "ft",
    "app.kubernetes.io/component": "operator",
}


def _text(*values: str) -> str:
    return str(only(render(*values), "ConfigMap", f"{NAME}-settings")["data"]["settings.yaml"])


def test_the_charts_defaults_are_the_operators(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(_text(), encoding="utf-8")
    network = replace(Settings().network, operator_namespace=NAMESPACE, operator_labels=LABELS)
    assert load_settings(path) == replace(Settings(), trainer_image="finetune-trainer:0.1.0", network=network)


def test_every_setting_of_the_operator_is_a_value_of_the_chart() -> None:
    """Two are not: the chart knows its own namespace and labels."""
    rendered = yaml.safe_load(_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))["settings"]
    found = {f"{part}.{key}" for part, keys in rendered.items() if isinstance(keys, dict) for key in keys}
    offered = {f"{part}.{key}" for part, keys in values.items() if isinstance(keys, dict) for key in keys}
    assert found - offered == {"network.operatorNamespace", "network.operatorLabels"}
    assert _keys(Settings()) == _keys(parse_settings(rendered))
    assert {part.replace("_", "") for part in _keys(Settings())} == {part.lower() for part in _paths(rendered)}


def test_null_reaches_the_operator_as_null() -> None:
    pods = [f"settings.pods.{name}=null" for name in ("runAsUser", "runAsGroup", "fsGroup")]
    settings = parse_settings(yaml.safe_load(_text(*pods))).pods
    assert (settings.run_as_user, settings.run_as_group, settings.fs_group) == (None, None, None)


def test_a_large_user_id_is_not_rounded() -> None:
    assert parse_settings(yaml.safe_load(_text("settings.pods.runAsUser=1000680001"))).pods.run_as_user == 1000680001


def test_the_trainers_image_goes_by_its_digest_first() -> None:
    digest = "sha256:" + "b" * 64
    values = (
        "trainer.image.repository=registry.example.com/tr",
        "trainer.image.tag=v9",
        f"trainer.image.digest={digest}",
    )
    assert parse_settings(yaml.safe_load(_text(*values))).trainer_image == f"registry.example.com/tr@{digest}"


def test_runs_let_in_the_pods_of_this_very_release() -> None:
    deployment = only(render(), "Deployment")
    settings = parse_settings(yaml.safe_load(_text())).network
    assert settings.operator_labels.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert settings.operator_namespace == deployment["metadata"]["namespace"]


def _keys(settings: object, path: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in vars(settings).items():
        nested = hasattr(value, "__dataclass_fields__")
        found |= _keys(value, f"{path}{name}.") if nested else {f"{path}{name}"}
    return found


def _paths(document: dict[str, object], path: str = "") -> set[str]:
    found: set[str] = set()
    for name, value in document.items():
        nested = isinstance(value, dict) and not path
        found |= _paths(value, f"{name}.") if nested and isinstance(value, dict) else {f"{path}{name}"}
    return found
