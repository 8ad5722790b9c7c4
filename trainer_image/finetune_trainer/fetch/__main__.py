"""Fetches what a job names: `python -m finetune_trainer.fetch --to DIR [--dataset URI] [--hub-model NAME] …`.

A source goes to DIR/dataset or DIR/model, where pods mount it; what the configuration names by its name on the hub goes
to DIR/hub, the cache that libraries read when hub access is off. Credentials come from the environment alone. Where it
is told the output that DIR is part of, and its job, nothing is touched before it is sure that the output may be used.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from finetune_api.outcomes import Outcome, TerminationMessage, exit_code
from finetune_trainer.container import leave_last_words, share_files_with_group
from finetune_trainer.fetch.request import Request, What
from finetune_trainer.output_check import check_output
from finetune_trainer.program import guarded, heed_signals

_SETTINGS = {
    "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",  # asks, without a bound in time, for rights that readers lack
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",  # they fill a log with thousands of lines
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_XET_CHUNK_CACHE_SIZE_BYTES": "0",  # it would fill the small scratch volume with what is fetched only once
}
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
"""Each library has a variable of its own for the same thing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch everything, leave the last words, and return the exit code."""
    options = _parser().parse_args(arguments)
    if options.termination_log is not None:
        share_files_with_group()
    heed_signals()
    _settle_environment()
    message = guarded(lambda: _already_complete(options) or _fetch_all(options), "fetching")
    if options.termination_log is not None:
        leave_last_words(options.termination_log, message)
    return exit_code(message.outcome)


def _already_complete(options: argparse.Namespace) -> TerminationMessage | None:
    """Return the last words of a job that has finished on this output; raises ConfigInvalid when it is not the job's.

    There is nothing to fetch for it: what runs next comes to the same end.
    """
    if options.output is None:
        return None
    return check_output(options.output, uid=options.job_uid, attempt=0, resume_from=options.resume_from)


def _fetch_all(options: argparse.Namespace) -> TerminationMessage:
    texts = [(what, text) for what in get_args(What) for text in getattr(options, what.replace("-", "_"))]
    requests = [Request.parse(what, text) for what, text in texts]
    options.to.mkdir(parents=True, exist_ok=True)
    for request in requests:
        print(f"fetching {request.what} {request.shown}", flush=True)
        _fetch(request, options.to)
    fetched = ", ".join(f"{request.what} {request.shown}" for request in requests)
    return TerminationMessage(outcome=Outcome.SUCCEEDED, message=f"fetched {fetched or 'nothing'}")


def _fetch(request: Request, directory: Path) -> None:
    if request.what.startswith("hub-"):
        from finetune_trainer.fetch.hub import fetch_into_cache

        return fetch_into_cache(request, directory / "hub")
    from finetune_trainer.fetch.place import fetch_into
    from finetune_trainer.fetch.sources import origin_of

    return fetch_into(request, origin_of(request), directory / request.what)


def _settle_environment() -> None:
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    bundle = next((os.environ[name] for name in _CERTIFICATES if os.environ.get(name)), None)
    for name in _CERTIFICATES if bundle else ():
        os.environ.setdefault(name, str(bundle))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="finetune_trainer.fetch", description=__doc__)
    parser.add_argument("--to", type=Path, required=True, help="the directory below which everything goes")
    parser.add_argument("--output", type=Path, help="the output of the job for which it is fetched")
    parser.add_argument("--job-uid", default="", help="the job's uid")
    parser.add_argument("--resume-from", help="the uid of another job whose output may be continued")
    parser.add_argument("--termination-log", type=Path, help="write the outcome here too")
    for what in get_args(What):
        form = "NAME[@REVISION]" if what.startswith("hub-") else "URI[@REVISION]"
        parser.add_argument(f"--{what}", metavar=form, action="append", default=[])
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads of the libraries would hold it up
