"""What is known of objects, through watches that come late, start over, and leave things out."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from finetune_operator.runtime.slim import slim_child, slim_pod
from finetune_operator.runtime.store import JobKey, Store
from finetune_operator.seen_pod import seen_pod

KEY = JobKey("team", "arc")


def pod(name: str, version: int, uid: str | None = None, **status: Any) -> dict[str, Any]:
    labels = {"finetune.dev/job-name": "arc", "finetune.dev/job-uid": "u", "finetune.dev/role": "trainer",
              "finetune.dev/attempt": "0", "finetune.dev/rank": "0"}  # fmt: skip
    metadata = {"name": name, "namespace": "team", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata | {"labels": labels}, "spec": {"nodeName": "n"}, "status": status}


def names(store: Store) -> list[str]:
    return [body["metadata"]["name"] for body in store.of_job(KEY)]


def test_objects_are_found_by_the_job_on_their_label() -> None:
    store = Store(slim_pod)
    store.put(pod("b", 1))
    store.put(pod("a", 2))
    assert names(store) == ["a", "b"]
    store.remove(pod("a", 3))
    assert names(store) == ["b"]
    store.remove(pod("b", 4))
    assert store.of_job(KEY) == []


def test_older_news_change_nothing() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 5, phase="Running"))
    assert store.put(pod("a", 4, phase="Pending")) == []
    assert store.of_job(KEY)[0]["status"]["phase"] == "Running"


def test_a_late_answer_does_not_bring_back_what_is_gone() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 5))
    store.remove(pod("a", 9))
    assert store.put(pod("a", 6)) == []
    assert names(store) == []
    assert store.put(pod("a", 10, uid="another"))
    assert names(store) == ["a"]


def test_the_last_words_of_what_is_gone_are_those_of_its_deletion() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 5, phase="Running"))
    (change,) = store.remove(pod("a", 9, phase="Failed"))
    assert change.after is None
    assert change.body["status"]["phase"] == "Failed"


def test_a_deletion_that_no_watch_told_is_found_in_a_list() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 5, phase="Running"))
    store.put(pod("b", 6))
    (change,) = store.sync([pod("b", 6)], "9")
    assert (change.before or {})["metadata"]["name"] == "a"
    assert change.after is None
    assert names(store) == ["b"]


def test_what_is_younger_than_a_list_is_not_missed_in_it() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 12))
    assert store.sync([], "9") == []
    assert names(store) == ["a"]


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 5))
    assert store.sync([], "9", lambda body: body["metadata"]["namespace"] == "other") == []
    assert names(store) == ["a"]


def test_an_object_with_the_name_of_another_takes_its_place_and_the_other_is_gone() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 5))
    gone, made = store.put(pod("a", 8, uid="second"))
    assert gone.after is None
    assert made.before is None
    assert [body["metadata"]["uid"] for body in store.of_job(KEY)] == ["second"]


def test_a_new_version_that_says_nothing_new_does_not_matter() -> None:
    store = Store(slim_pod)
    store.put(pod("a", 5, phase="Running"))
    assert [change.matters for change in store.put(pod("a", 6, phase="Running", qosClass="Burstable"))] == [False]
    assert [change.matters for change in store.put(pod("a", 7, phase="Failed"))] == [True]


def test_a_slim_pod_is_seen_as_the_whole_one() -> None:
    ended = {"exitCode": 3, "finishedAt": "2026-01-01T00:00:00Z", "message": "m", "reason": "Error", "containerID": "x"}
    status: dict[str, Any] = {
        "phase": "Failed", "podIP": "10.0.0.1", "reason": "Evicted", "message": "low on disk", "qosClass": "Burstable",
        "conditions": [{"type": "DisruptionTarget", "status": "True", "message": "why", "lastProbeTime": None},
                       {"type": "Ready", "status": "False", "message": "long"},
                       {"type": "ContainersReady", "status": "True"},
                       {"type": "PodReadyToStartContainers", "status": "True"},
                       {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no nodes"}],
        "initContainerStatuses": [{"name": "fetch", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}],
        "containerStatuses": [{"name": "trainer", "imageID": "x@sha256:1", "state": {"terminated": ended}}],
    }  # fmt: skip
    body = pod("a", 5, **status)
    body["metadata"] |= {"managedFields": [{}], "creationTimestamp": "2026-01-01T00:00:00Z",
                         "deletionTimestamp": "2026-01-01T00:00:00Z"}  # fmt: skip
    assert seen_pod(slim_pod(body)) == seen_pod(body)
    assert "managedFields" not in str(slim_pod(body))
    assert slim_pod(slim_pod(body)) == slim_pod(body)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["put", "late", "remove", "list"])), max_size=40))
def test_after_a_list_the_store_holds_what_the_server_holds(story: list[tuple[str, str]]) -> None:
    """The server changes; of its news some come late, some never, and a list repairs all of it."""
    store, server, lives = Store(slim_child), dict[str, dict[str, Any]](), 0
    unheard: list[dict[str, Any]] = []
    for version, (name, what) in enumerate(story, start=1):
        if what == "put":
            lives += name not in server
            uid = server[name]["metadata"]["uid"] if name in server else f"{name}-{lives}"
            server[name] = pod(name, version, uid)
            unheard.append(server[name])
        elif what == "remove":
            server.pop(name, None)
        elif what == "late" and unheard:
            store.put(unheard.pop(0))
        elif what == "list":
            store.sync(list(server.values()), str(version))
            assert {body["metadata"]["uid"] for body in store} == {body["metadata"]["uid"] for body in server.values()}
            assert names(store) == sorted(server)


def test_old_news_of_an_object_does_not_replace_the_one_that_has_its_name_now() -> None:
    store = Store(slim_child)
    store.sync([pod("a", 3, "second")], "4")
    assert store.put(pod("a", 1, "first")) == []
    assert [body["metadata"]["uid"] for body in store] == ["second"]
