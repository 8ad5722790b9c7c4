"""A Kubernetes control plane on this machine: etcd and the API server, and as much of the rest as a test needs."""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from cluster import components
from cluster.binaries import find
from cluster.components import LOOPBACK, Command, Files
from cluster.kubeconfig import Credentials, write_kubeconfig
from cluster.kubectl import kubectl
from cluster.pki import Authority
from cluster.ports import free_port
from cluster.processes import Process
from cluster.rest import Body, Rest
from cluster.simulated_nodes import SimulatedKubelet
from cluster.waiting import wait_until

_ADMINISTRATORS: Final = "system:masters"
_DEFAULT_ACCOUNT: Final = "/api/v1/namespaces/default/serviceaccounts/default"


@dataclass(frozen=True)
class Parts:
    """What runs beside etcd and the API server."""

    controllers: bool = False
    """kube-controller-manager; without it namespaces have no service account, so none is asked for."""
    scheduler: bool = False
    kubelet: SimulatedKubelet | None = None
    """KWOK, which plays the kubelet of simulated nodes."""
    advertise: str = LOOPBACK
    """The address at which nodes and pods reach the API server; loopback keeps everything on this machine."""
    api_server_flags: Sequence[str] = ()
    controller_flags: Sequence[str] = ()
    """Further ones of kube-controller-manager."""


class ControlPlane:
    """A control plane that is up inside of a `with` block and leaves nothing running; enter it in the main thread."""

    def __init__(self, directory: Path, parts: Parts | None = None) -> None:
        self.parts = parts or Parts()
        self.authority = Authority()
        self.files = Files.written(directory, self.authority, self.parts.advertise)
        self.port = free_port()
        self.processes: dict[str, Process] = {}
        self.store = ""
        """URL of etcd, once it runs."""
        self._starts: dict[str, Callable[[], None]] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start_servers()
            self._start_clients()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where nodes, pods and people reach the API server."""
        return f"https://{self.parts.advertise}:{self.port}"

    @property
    def admin(self) -> Path:
        """The kubeconfig of somebody who may do everything."""
        return self.user_kubeconfig("admin", [_ADMINISTRATORS])

    def user_kubeconfig(self, name: str, groups: Sequence[str] = (), namespace: str = "default") -> Path:
        """Return the kubeconfig of a user with a certificate; RBAC says what the name and groups may do."""
        path = self._kubeconfig_path(name)
        return path if path.exists() else self._write(path, self.authority.client(name, groups), namespace)

    def service_account_kubeconfig(self, name: str, namespace: str) -> Path:
        """Return the kubeconfig of a ServiceAccount that exists, with a token for an hour."""
        token = self.kubectl("create", "token", name, "--namespace", namespace, "--duration", "1h").strip()
        return self._write(self._kubeconfig_path(f"{namespace}-{name}"), token, namespace)

    def kubectl(self, *arguments: str | Path, stdin: str | dict[str, Any] = "") -> str:
        """Run kubectl as the administrator and return what it prints; raises KubectlFailed."""
        return kubectl(self.admin, *arguments, stdin=stdin)

    def rest(self, kubeconfig: Path | None = None) -> Rest:
        """Return plain HTTP to the API server, as the administrator or as somebody else."""
        return Rest.from_kubeconfig(kubeconfig or self.admin)

    def install(self, manifests: Path, kind: str = "-f") -> None:
        """Apply definitions of resources, or with `-k` a kustomization of them, and wait until they are served."""
        self.kubectl("apply", "--server-side", kind, manifests)
        wait_until(lambda: all(map(self._serves, self._definitions(manifests, kind))))

    def stop(self, name: str) -> None:
        """Kill one of the processes, as a machine that loses its power does."""
        self.processes[name].stop()

    def start_again(self, name: str) -> None:
        """Start one that was stopped, as it was, and wait until it answers; from the main thread."""
        self._starts[name]()

    def start_ended(self) -> None:
        """Start again what ended by itself, as a kubelet would; from the main thread."""
        for name in [name for name, process in self.processes.items() if not process.alive]:
            self.start_again(name)

    def _serves(self, definition: Body) -> bool:
        """Established is not enough: for a moment more the server refuses lists while it fills its cache."""
        if not _established(definition):
            return False
        spec, served = definition["spec"], self.rest()
        versions = [version["name"] for version in spec["versions"] if version["served"]]
        path = f"/apis/{spec['group']}/{{}}/{spec['names']['plural']}"
        return all(served.answers(path.format(version)) for version in versions)

    def _definitions(self, manifests: Path, kind: str) -> list[Body]:
        found: Body = json.loads(self.kubectl("get", kind, manifests, "-o", "json"))
        return list(found.get("items", [found]))

    def _start_servers(self) -> None:
        store, peers = free_port(), free_port()
        self.store = f"http://{LOOPBACK}:{store}"
        command = components.etcd(find("etcd"), self.files, store, peers)
        self._run("etcd", command, _answering(Rest(self.store), "/readyz"))
        more = list(self.parts.api_server_flags)
        if not self.parts.controllers:
            more.append("--disable-admission-plugins=ServiceAccount")
        binary = find("kube-apiserver")
        command = components.api_server(binary, self.files, self.port, store, self.parts.advertise, more)
        local = Rest(f"https://{LOOPBACK}:{self.port}", self.authority.certificate)
        self._run("kube-apiserver", command, _answering(local, "/readyz"))

    def _start_clients(self) -> None:
        if self.parts.controllers:
            name = "kube-controller-manager"
            kubeconfig = self.user_kubeconfig(f"system:{name}")
            command = components.controller_manager(find(name), self.files, kubeconfig, free_port())
            command += self.parts.controller_flags
            self._run(name, command, _answering(self.rest(), _DEFAULT_ACCOUNT))
        if self.parts.scheduler:
            name, port = "kube-scheduler", free_port()
            command = components.scheduler(find(name), self.user_kubeconfig(f"system:{name}"), port)
            self._run(name, command, lambda: True)
        if self.parts.kubelet:
            port = free_port()
            command = self.parts.kubelet.command(find("kwok"), self.files.directory, self.admin, port)
            self._run("kwok", command, _answering(Rest(f"http://{LOOPBACK}:{port}"), "/healthz"))

    def _run(self, name: str, command: Command, ready: Callable[[], bool]) -> None:
        def start() -> None:
            process = self._stack.enter_context(Process(name, command, self.files.log(name)))
            self.processes[name] = process
            process.wait_ready(ready)

        self._starts[name] = start
        start()

    def _kubeconfig_path(self, name: str) -> Path:
        return self.files.directory / f"{name.replace(':', '-')}.kubeconfig"

    def _write(self, path: Path, credentials: Credentials, namespace: str) -> Path:
        return write_kubeconfig(path, self.url, self.authority.certificate, credentials, namespace)


def _established(definition: Body) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _answering(rest: Rest, path: str) -> Callable[[], bool]:
    return lambda: rest.answers(path)
