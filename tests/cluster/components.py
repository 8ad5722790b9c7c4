"""The command lines of a control plane, and the files that they name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cluster.pki import Authority, KeyPair, signing_keys

Command = list[str | Path]

LOOPBACK: Final = "127.0.0.1"
SERVICE_RANGE: Final = "10.96.0.0/16"
SERVICE_ADDRESS: Final = "10.96.0.1"
"""Of the Service `kubernetes`, the first of its range."""
_NAMES: Final = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_LOCAL_NAME: Final = "kubernetes.default.svc.cluster.local"


@dataclass(frozen=True)
class Files:
    """A directory with certificates, keys and logs of one control plane."""

    directory: Path

    @classmethod
    def written(cls, directory: Path, authority: Authority, advertise: str) -> Self:
        """Write what the components read."""
        directory.mkdir(parents=True, exist_ok=True)
        files = cls(directory)
        hosts = {LOOPBACK, advertise, SERVICE_ADDRESS, *_NAMES, _LOCAL_NAME}
        files.ca.write_bytes(authority.certificate)
        files.write("server", authority.server("kube-apiserver", sorted(hosts)))
        files.write("kubelet-client", authority.client("kube-apiserver", ["system:masters"]))
        files.write("tokens", KeyPair(*reversed(signing_keys())))
        return files

    @property
    def ca(self) -> Path:
        """The certificate that everybody trusts."""
        return self.directory / "ca.crt"

    def certificate(self, name: str) -> Path:
        """A certificate, or the public half of a signing key."""
        return self.directory / f"{name}.crt"

    def key(self, name: str) -> Path:
        """A private key."""
        return self.directory / f"{name}.key"

    def log(self, name: str) -> Path:
        """What a process says."""
        return self.directory / f"{name}.log"

    def write(self, name: str, pair: KeyPair) -> None:
        """Keep a certificate and its key."""
        self.certificate(name).write_bytes(pair.certificate)
        self.key(name).touch(mode=0o600)
        self.key(name).write_bytes(pair.key)


def etcd(binary: Path, files: Files, client_port: int, peer_port: int) -> Command:
    """The store; it does not wait for the disk, as nothing outlives the test."""
    client, peer = f"http://{LOOPBACK}:{client_port}", f"http://{LOOPBACK}:{peer_port}"
    flags = {
        "data-dir": files.directory / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
        "log-level": "warn",
    }
    return [binary, *_flags(flags)]


def api_server(binary: Path, files: Files, port: int, store_port: int, advertise: str, more: Sequence[str]) -> Command:
    """The API server, on every address when nodes reach it from outside of loopback."""
    local = advertise == LOOPBACK
    flags = {
        "etcd-servers": f"http://{LOOPBACK}:{store_port}",
        "bind-address": LOOPBACK if local else "0.0.0.0",
        "secure-port": port,
        "advertise-address": advertise,
        "endpoint-reconciler-type": "none" if local else "lease",  # a Service cannot point to loopback
        "service-cluster-ip-range": SERVICE_RANGE,
        "tls-cert-file": files.certificate("server"),
        "tls-private-key-file": files.key("server"),
        "client-ca-file": files.ca,
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "service-account-issuer": f"https://{_LOCAL_NAME}",
        "service-account-key-file": files.certificate("tokens"),
        "service-account-signing-key-file": files.key("tokens"),
        "kubelet-client-certificate": files.certificate("kubelet-client"),
        "kubelet-client-key": files.key("kubelet-client"),
        "kubelet-preferred-address-types": "InternalIP",
        "allow-privileged": "true",
        "profiling": "false",
    }
    return [binary, *_flags(flags), *more]


def controller_manager(binary: Path, files: Files, kubeconfig: Path, port: int) -> Command:
    """The controllers, with their default rates: what people have."""
    flags = {
        "root-ca-file": files.ca,
        "service-account-private-key-file": files.key("tokens"),
        "use-service-account-credentials": "true",
    }
    return [binary, *_flags(flags), *_client(kubeconfig, port)]


def scheduler(binary: Path, kubeconfig: Path, port: int) -> Command:
    """The scheduler, as it comes."""
    return [binary, *_client(kubeconfig, port)]


def _client(kubeconfig: Path, port: int) -> Command:
    flags = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": LOOPBACK,
        "secure-port": port,
        "leader-elect": "false",  # it is alone, and waiting for a lease takes seconds
        "profiling": "false",
    }
    return _flags(flags)


def _flags(flags: Mapping[str, object]) -> Command:
    return [f"--{name}={value}" for name, value in flags.items()]
