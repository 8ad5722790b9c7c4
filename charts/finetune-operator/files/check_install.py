"""Run by `helm test`: is the operator ready, and does the API server serve FinetuneJobs?

python check_install.py URL-OF-READYZ
"""

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SERVED = "/apis/finetune.dev/v1alpha1"


def main(readyz: str) -> str | None:
    """Return what is wrong, or None."""
    try:
        urllib.request.urlopen(readyz, timeout=20).close()
    except OSError as error:
        return f"The operator is not ready: {readyz}: {error}. See its log."
    try:
        served = json.loads(ask_api_server(SERVED))
    except (OSError, ValueError) as error:
        return f"The API server does not serve {SERVED}: {error}. Install the resource: crds.install=true."
    if "finetunejobs" not in [resource["name"] for resource in served["resources"]]:
        return f"The API server serves no finetunejobs under {SERVED}. Install the resource: crds.install=true."
    return None


def ask_api_server(path: str) -> bytes:
    """Return what the API server answers to this pod's account."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    token = (ACCOUNT / "token").read_text(encoding="utf-8")
    request = urllib.request.Request(f"https://{address}:{port}{path}", headers={"Authorization": f"Bearer {token}"})
    trusted = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=20, context=trusted) as answer:
        content: bytes = answer.read()
    return content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
