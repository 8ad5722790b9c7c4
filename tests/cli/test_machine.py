import socket

from finetune_cli.machine import free_port


def test_a_free_port_can_be_listened_on() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", free_port()))


def test_a_free_port_lies_below_those_of_outgoing_connections() -> None:
    assert all(port < 32768 for port in (free_port() for _ in range(20)))
