"""Writes the generated files of charts/kustomize/base from the chart, for people without Helm; needs helm on PATH.

python charts/kustomize/generate.py            write them
python charts/kustomize/generate.py --check    exit 1 when one is stale
"""

import argparse
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).resolve().parent
CHART: Final = HERE.parent / "finetune-operator"
RELEASE: Final = "finetune-operator"
NAMESPACE: Final = "finetune-system"
MARK: Final = "# Generated from the chart by charts/kustomize/generate.py. Edit the chart, then run it again.\n"
_HELM_ONLY: Final = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/instance")
# The resource comes from the chart's own copy; a test pod and its script are Helm's.
_SETS: Final = ("crds.install=false", "tests.enabled=false")


def main() -> int:
    """Write or compare the files; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit 1 when one is stale")
    parser.add_argument("--helm", default="helm", help="the helm to use")
    options = parser.parse_args()
    stale = [path for path, content in files(options.helm).items() if not _holds(path, content)]
    if not options.check:
        for path in stale:
            path.write_text(files(options.helm)[path], encoding="utf-8")
        return 0
    for path in stale:
        print(f"{path} is stale; run: python charts/kustomize/generate.py", file=sys.stderr)
    return 1 if stale else 0


def files(helm: str) -> dict[Path, str]:
    """Return each generated file with what belongs into it."""
    objects = list(_rendered(helm))
    settings = next(one["data"]["settings.yaml"] for one in objects if one["kind"] == "ConfigMap")
    # kustomize makes the ConfigMap, with a hash in its name, so that pods restart when the settings change.
    others = [_without_helm(one) for one in objects if one["kind"] != "ConfigMap"]
    return {
        HERE / "base" / "operator.yaml": MARK + yaml.safe_dump_all(others, sort_keys=False, width=120),
        HERE / "base" / "settings.yaml": MARK + _settings(settings),
    }


def _rendered(helm: str) -> Iterator[dict[str, Any]]:
    flags = [flag for value in _SETS for flag in ("--set", value)]
    command = [helm, "template", RELEASE, str(CHART), "--namespace", NAMESPACE, *flags]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return (document for document in yaml.safe_load_all(text) if document)


def _settings(text: str) -> str:
    settings = yaml.safe_load(text)
    settings["network"]["operatorLabels"] = _kept(settings["network"]["operatorLabels"])
    return yaml.safe_dump(settings, width=120)


def _without_helm(value: Any) -> Any:
    """Return `value` without labels and annotations that speak of Helm, at every depth."""
    if isinstance(value, list):
        return [_without_helm(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_helm(one) for key, one in _kept(value).items()}
    return {key: one for key, one in kept.items() if not (key == "annotations" and not one)}


def _kept(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in (*_HELM_ONLY, "checksum/settings")}


def _holds(path: Path, content: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == content


if __name__ == "__main__":
    sys.exit(main())
