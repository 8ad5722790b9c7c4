"""What a user gets wrong, and the sentence that a real API server answers."""

import copy
import http.client
import itertools
import re
from typing import Any

import pytest

from cluster.control_plane import ControlPlane
from cluster.rest import Answer, Rest
from support.bad_jobs import BAD_CHANGES, BAD_NAMES, BAD_SPECS, GOOD_CHANGES, NAME, NAME_SENTENCE, UNKNOWN_FIELDS, job

JOBS = "/apis/finetune.dev/v1alpha1/namespaces/default/finetunejobs"
DRY_RUN = "dryRun=All&fieldValidation=Strict"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(api_server: ControlPlane) -> Rest:
    return api_server.rest()


def tried(server: Rest, manifest: dict[str, Any]) -> Answer:
    return server.send("POST", f"{JOBS}?{DRY_RUN}", manifest)


def changed(server: Rest, before: dict[str, Any], after: dict[str, Any]) -> Answer:
    name = f"job-{next(_numbers)}"
    created = server.send("POST", JOBS, {**job(**before), "metadata": {"name": name}}).accepted()
    update = {**copy.deepcopy(job(**after)), "metadata": created["metadata"]}
    return server.send("PUT", f"{JOBS}/{name}?{DRY_RUN}", update)


def assert_refused(answer: Answer, sentence: str) -> None:
    assert answer.code == http.client.UNPROCESSABLE_ENTITY, answer.message
    assert sentence in words_of(answer)


def words_of(answer: Answer) -> str:
    # Before the sentence of a rule, versions differ: Invalid value: "object": …, Invalid value: "its text": …, or none.
    return re.sub(r'Invalid value: "[^"]*": ', "Invalid value: ", answer.message)


def test_a_small_job_is_accepted(server: Rest) -> None:
    assert tried(server, job()).code == http.client.CREATED


@pytest.mark.parametrize(("spec", "sentence"), BAD_SPECS)
def test_a_bad_spec_is_refused(server: Rest, spec: dict[str, Any], sentence: str) -> None:
    assert_refused(tried(server, job(**spec)), sentence)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_pods_cannot_have_is_refused(server: Rest, name: str) -> None:
    answer = tried(server, {**job(), "metadata": {"name": name}})
    assert_refused(answer, NAME)
    assert NAME_SENTENCE in words_of(answer)


@pytest.mark.parametrize(("spec", "path"), UNKNOWN_FIELDS)
def test_an_unknown_field_is_refused(server: Rest, spec: dict[str, Any], path: str) -> None:
    answer = tried(server, job(**spec))
    assert answer.code == http.client.BAD_REQUEST
    assert f'unknown field "{path}"' in answer.message


@pytest.mark.parametrize(("before", "after", "sentence"), BAD_CHANGES)
def test_a_forbidden_change_is_refused(
    server: Rest, before: dict[str, Any], after: dict[str, Any], sentence: str
) -> None:
    assert_refused(changed(server, before, after), sentence)


@pytest.mark.parametrize(("before", "after"), GOOD_CHANGES)
def test_what_may_change_can_be_changed(server: Rest, before: dict[str, Any], after: dict[str, Any]) -> None:
    assert changed(server, before, after).code == http.client.OK
