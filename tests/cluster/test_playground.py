from cluster import playground
from cluster.playground import welcome


def test_a_person_is_told_how_to_reach_and_how_to_end_the_cluster() -> None:
    said = welcome({"kubeconfig": "/c/admin.kubeconfig", "nodes": 2, "chart": True}, kubectl="/bin/kubectl")
    assert "export KUBECONFIG=/c/admin.kubeconfig" in said
    assert "make cluster-down" in said
    assert "finetune-system" in said


def test_without_the_chart_nothing_is_said_about_an_operator() -> None:
    said = welcome({"kubeconfig": "/c/admin.kubeconfig", "nodes": 1, "chart": False}, kubectl="/bin/kubectl")
    assert "operator" not in said


def test_the_images_reach_the_chart_in_two_parts() -> None:
    assert playground.chart_values("o:1", "registry.example.com:5000/t:2") == [
        *("--set=image.repository=o", "--set=image.tag=1"),
        *("--set=trainer.image.repository=registry.example.com:5000/t", "--set=trainer.image.tag=2"),
    ]
