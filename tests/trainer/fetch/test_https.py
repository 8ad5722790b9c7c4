"""Files behind https addresses, from a server with a certificate of its own."""

import datetime
import ipaddress
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from finetune_api.outcomes import Outcome
from support.fake_sources import Answer, FakeWeb, serving

ROWS = b'{"prompt": "p", "response": "r"}\n' * 1000


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and self-signed certificate of 127.0.0.1, in one file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
    builder = builder.add_extension(address, critical=False)
    signed = builder.sign(key, hashes.SHA256())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path_factory.mktemp("certificate") / "web.pem"
    file.write_bytes(key.private_bytes(*form) + signed.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def web() -> FakeWeb:
    return FakeWeb({"data/train.jsonl": ROWS})


@pytest.fixture
def address(web: FakeWeb, certificate: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(web, context) as found:
        yield found


def test_a_file_lies_in_a_directory_under_its_own_name(fetch: Any, to: Path, address: str, certificate: Path) -> None:
    done = fetch("--dataset", f"{address}/data/train.jsonl?signature=secret", SSL_CERT_FILE=str(certificate))
    assert done.outcome is Outcome.SUCCEEDED
    assert (to / "dataset/train.jsonl").read_bytes() == ROWS
    assert "secret" not in done.output + done.words["message"]


def test_it_goes_on_where_the_connection_broke_off(
    fetch: Any, to: Path, web: FakeWeb, address: str, certificate: Path
) -> None:
    tag = web.answer("data/train.jsonl", {}, {}).headers
    web.failures = [Answer(200, ROWS, tag), Answer(200, ROWS, tag, cut_after=20000)]
    done = fetch("--dataset", f"{address}/data/train.jsonl", SSL_CERT_FILE=str(certificate))
    assert (to / "dataset/train.jsonl").read_bytes() == ROWS
    assert "the connection ended after 20000 of 33000 bytes; trying again in 1 s" in done.output


def test_an_unchanged_file_is_not_fetched_twice(fetch: Any, web: FakeWeb, address: str, certificate: Path) -> None:
    arguments, trust = ("--dataset", f"{address}/data/train.jsonl"), {"SSL_CERT_FILE": str(certificate)}
    fetch(*arguments, **trust)
    assert "is here already" in fetch(*arguments, **trust).output
    web.files["data/train.jsonl"] = b"{}\n"
    assert "is here already" not in fetch(*arguments, **trust).output


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(404), "there is nothing of this name. Check the address."),
        (Answer(403), "access is denied (HTTP 403). Use a link that needs no login, or one that is signed."),
        (Answer(400), "the server answers HTTP 400. Check the address."),
    ],
)
def test_what_will_not_change_by_itself_is_not_tried_again(
    fetch: Any, web: FakeWeb, address: str, certificate: Path, answer: Answer, words: str
) -> None:
    web.failures = [answer]
    done = fetch("--dataset", f"{address}/data/train.jsonl", SSL_CERT_FILE=str(certificate))
    assert done.outcome is Outcome.DATASET_INVALID
    assert words in done.words["message"]
    assert len(web.seen) == 1


def test_an_overloaded_server_is_asked_again(
    fetch: Any, to: Path, web: FakeWeb, address: str, certificate: Path
) -> None:
    web.failures = [Answer(503)]
    done = fetch("--dataset", f"{address}/data/train.jsonl", SSL_CERT_FILE=str(certificate))
    assert done.outcome is Outcome.SUCCEEDED
    assert "the server answers HTTP 503; trying again in 1 s" in done.output


def test_a_redirect_away_from_https_is_refused(fetch: Any, web: FakeWeb, address: str, certificate: Path) -> None:
    web.failures = [Answer(302, headers={"Location": "ftp://127.0.0.1/train.jsonl"})]
    web.files.clear()
    done = fetch("--dataset", f"{address}/data/train.jsonl", SSL_CERT_FILE=str(certificate))
    assert "it redirects to an address that is not https" in done.output


def test_one_file_is_no_model(fetch: Any) -> None:
    done = fetch("--model", "https://example.invalid/model.safetensors")
    assert done.outcome is Outcome.MODEL_UNAVAILABLE
    assert "a model is more than one file" in done.words["message"]
