"""`python -m finetune_operator`: the operator as a process."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from finetune_api.errors import ConfigInvalid
from finetune_operator.cluster.access import has_service_account
from finetune_operator.cluster.client import ApiError, Client, LoginError, Unreachable
from finetune_operator.runtime.app import App, Fatal, Options
from finetune_operator.runtime.lease import LeaseLost
from finetune_operator.runtime.logs import set_up
from finetune_operator.runtime.scope import Scope
from finetune_operator.settings import Settings
from finetune_operator.settings_file import load_settings

log = logging.getLogger("finetune_operator")

USAGE_ERROR = 2
FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the operator until a signal, and return its exit code."""
    options = parser().parse_args(arguments)
    if options.namespace and options.exclude_namespace:
        parser().error("--exclude-namespace is for an operator of the whole cluster, so without --namespace")
    set_up(options.log_format)
    try:
        settings = load_settings(options.settings) if options.settings else Settings()
        asyncio.run(_run(options, settings))
    except (ConfigInvalid, LoginError) as error:
        log.error("%s", error)
        return USAGE_ERROR
    except (Fatal, LeaseLost, ApiError, Unreachable) as error:
        log.error("%s", error)
        return FAILED
    except BaseExceptionGroup as group:
        return _report(group)
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser("finetune-operator", description="Runs FinetuneJobs on a Kubernetes cluster.")
    add = parser.add_argument
    add("--settings", type=Path, metavar="FILE", help="settings for all jobs, as YAML")
    add("--namespace", action="append", default=[], metavar="NS", help="look after this namespace; may be repeated")
    add("--exclude-namespace", action="append", default=[], metavar="NS", help="leave this namespace alone")
    add("--lease", type=_lease, metavar="NAMESPACE/NAME", help="work only while holding this Lease")
    add("--health-port", type=int, default=8081, metavar="PORT", help="serves /healthz and /readyz (%(default)s)")
    add("--metrics-port", type=int, default=9090, metavar="PORT", help="serves /metrics (%(default)s)")
    add("--log-format", choices=("json", "text"), default="json", help="for machines or for people (%(default)s)")
    add("--workers", type=_positive, default=16, metavar="N", help="jobs worked on at once (%(default)s)")
    add("--resync", type=_positive, default=300, metavar="SECONDS", help="list everything so often (%(default)s)")
    add("--watch-silence", type=_positive, default=70, metavar="SECONDS",
        help="begin a watch anew after so long without a word from the API server (%(default)s)")  # fmt: skip
    add("--kubeconfig", type=Path, metavar="FILE", help="how to reach the cluster from outside")
    add("--context", metavar="NAME", help="context of the kubeconfig")
    return parser


async def _run(options: argparse.Namespace, settings: Settings) -> None:
    chosen = Options(
        scope=Scope(tuple(options.namespace), tuple(options.exclude_namespace)),
        lease=options.lease,
        health_port=options.health_port,
        metrics_port=options.metrics_port,
        workers=options.workers,
        resync=options.resync,
        watch_silence=options.watch_silence,
    )
    async with _client(options) as client:
        await App(client, settings, chosen).run()


def _client(options: argparse.Namespace) -> Client:
    if options.kubeconfig is None and options.context is None and has_service_account():
        return Client.in_cluster()
    return Client.from_kubeconfig(options.kubeconfig, options.context)


def _report(group: BaseExceptionGroup[BaseException]) -> int:
    """Tell what ended the tasks that run side by side; only what nobody foresaw comes with a traceback."""
    known, unknown = group.split((Fatal, LeaseLost, ApiError, Unreachable, LoginError))
    for error in _leaves(known) if known else ():
        log.error("%s", error)
    if unknown is not None:
        log.error("unexpected error", exc_info=unknown)
    return FAILED


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def _lease(text: str) -> tuple[str, str]:
    namespace, slash, name = text.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise argparse.ArgumentTypeError(f"expected NAMESPACE/NAME, not {text!r}")
    return namespace, name


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, not {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
