"""How clients connect: for each message or for good, in pieces or in heaps, several at a time."""

from __future__ import annotations

import json
import socket
import threading

from .first_clients import ZERO, Connection, observe
from .processes import Gateway


def test_several_messages_over_one_connection(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        for number in range(20):
            answer = connection.ask(observe(*ZERO, corr_id=f"{number}"))
            assert (answer["type"], answer["corr_id"]) == ("action", f"{number}")
        assert connection.ask({"type": "ping"})["type"] == "ack"


def test_several_messages_in_one_packet(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        connection.say(*(observe(*ZERO, corr_id=f"{number}") for number in range(20)))
        assert [connection.hear()["corr_id"] for _ in range(20)] == [str(n) for n in range(20)]


def test_a_fresh_connection_for_each_message(gateway: Gateway) -> None:
    for number in range(100):
        assert gateway.ask(observe(*ZERO, corr_id=f"{number}"))["corr_id"] == f"{number}"


def test_a_message_in_pieces(gateway: Gateway) -> None:
    line = json.dumps(observe(*ZERO, corr_id="pieces")).encode() + b"\r\n"
    with Connection(gateway.address) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(line), 7):
            connection.say(line[start : start + 7])
        assert connection.hear()["corr_id"] == "pieces"


def test_a_message_longer_than_a_read(gateway: Gateway) -> None:
    answer = gateway.ask(observe(*ZERO, note="x" * 20_000))
    assert answer["data"]["delta"] == [0.0] * 6


def test_a_client_that_says_it_has_said_everything(gateway: Gateway) -> None:
    with Connection(gateway.address) as connection:
        connection.say(observe(*ZERO))
        connection.socket.shutdown(socket.SHUT_WR)  # as `nc -N` does
        assert connection.hear()["type"] == "action"


def test_several_clients_at_a_time(gateway: Gateway) -> None:
    heard: dict[int, list[str]] = {}

    def client(number: int) -> None:
        with Connection(gateway.address) as connection:
            wanted = [f"{number}-{step}" for step in range(50)]
            heard[number] = [connection.ask(observe(*ZERO, corr_id=w))["corr_id"] for w in wanted]

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard == {n: [f"{n}-{step}" for step in range(50)] for n in range(8)}
