"""The FinetuneJob resource in the chart is the one in crds/."""

import yaml

from support.charts import CHART, CRD, of_kind, only, render

KIND = "CustomResourceDefinition"


def test_the_charts_copy_is_the_generated_file() -> None:
    copy = CHART / "files" / "finetunejobs.yaml"
    assert copy.read_bytes() == CRD.read_bytes(), f"{copy} is stale; run: make crds"


def test_the_rendered_resource_differs_by_the_annotation_that_keeps_it_only() -> None:
    rendered = only(render(), KIND)
    assert rendered["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert rendered == yaml.safe_load(CRD.read_text(encoding="utf-8"))


def test_without_keep_it_is_removed_with_the_release() -> None:
    assert only(render("crds.keep=false"), KIND) == yaml.safe_load(CRD.read_text(encoding="utf-8"))


def test_without_install_it_is_left_to_others() -> None:
    assert of_kind(render("crds.install=false"), KIND) == []
