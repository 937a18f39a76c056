"""Sending to a URL somebody else chose: never into a private network, never where it was not judged, never for long."""

import socket
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from reconciler.service.work.addresses import why_not
from reconciler.service.work.sending import MOST, Sender, UnsentError
from reconciler.service.work.target import RefusedUrlError, target_of

from .receiver import OK, Receiver, certified, read_request, receiver

PUBLIC = "93.184.215.14"
HERE = Sender(development=True)


class Names:
    """A name service that answers what it is told to, one answer after the other, and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked = 0

    def __call__(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@pytest.mark.parametrize(
    "address",
    """127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 169.254.169.254
    100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255
    240.0.0.1 255.255.255.255 168.63.129.16 192.88.99.1 ::1 :: fe80::1 fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1
    fec0::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
    64:ff9b:1::1 2002:7f00:1:: 2002:a9fe:a9fe::1 2002:c0a8:101::1 2001::1 2001:db8::1 3fff::1 100::1
    2a00:1450::5efe:7f00:1 2a00:1450::200:5efe:a00:1 nowhere 127.1""".split(),
)
def test_addresses_of_private_networks_are_refused(address: str) -> None:
    """Whatever is not the public Internet is refused, in every way IPv6 has to write IPv4."""
    assert why_not(address) is not None
    with pytest.raises(UnsentError):
        Sender(lookup=Names([address])).post("https://hooks.example/", b"{}", {})


@pytest.mark.parametrize(
    "address",
    """93.184.215.14 8.8.8.8 172.15.0.1 172.32.0.1 100.63.0.1 100.128.0.1 169.253.0.1 11.0.0.1 2606:4700::1111
    2a00:1450:4001:81b::200e ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::1""".split(),
)
def test_public_addresses_are_not_refused(address: str) -> None:
    """The neighbours of private networks, and public addresses written as IPv6, may be sent to."""
    assert why_not(address) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "ftp://hooks.example/",
        "//hooks.example/",
        "hooks.example",
        "https://",
        "https:///path",
        "https://user:pass@hooks.example/",
        "https://user@hooks.example/",
        "https://@hooks.example/",
        "https://hooks.example:8443/",
        "https://hooks.example:0/",
        "https://hooks.example:99999/",
        "https://hooks.example:x/",
        "https://hooks.example/#part",
        "https://hooks.example/a b",
        "https://hooks.example/\r\nX: y",
        "https://hooks.example\\@127.0.0.1/",
        "https://hööks.example/",
        "https://hooks.example./",
        "https://[fe80::1%25eth0]/",
        "https://[::1/",
        "https://hooks.example/" + "a" * 2048,
    ],
)
def test_urls_that_are_no_callbacks_are_refused(url: str) -> None:
    """Other schemes, ports, credentials, fragments and whatever two readers read differently are refused unasked."""
    names = Names([PUBLIC])
    with pytest.raises(UnsentError):
        Sender(lookup=names).post(url, b"{}", {})
    assert names.asked == 0
    assert target_of("https://hooks.example/path?x=1").path == "/path?x=1"


def test_a_message_holds_nothing_of_a_path() -> None:
    """A path may be a secret of the receiver's: what is told of a failure names the host alone."""
    with pytest.raises(UnsentError) as failed:
        Sender(lookup=Names(["10.0.0.1"])).post("https://hooks.example/T0/SECRET?token=SECRET", b"{}", {})
    assert str(failed.value) == "https://hooks.example leads to an address that is private"


def test_a_local_receiver_is_reached_in_development() -> None:
    """With the development flag, and without it not, http to this machine is allowed: body, headers and path arrive."""
    with receiver() as there:
        assert HERE.post(there.url("/a?b=c"), b'{"x":1}', {"X-Id": "7"}) == 200
        (request,) = there.requests
        assert request.startswith(b"POST /a?b=c HTTP/1.1\r\n")
        assert f"\r\nHost: 127.0.0.1:{there.port}\r\n".encode() in request
        assert b"\r\nX-Id: 7\r\n" in request
        assert request.endswith(b'\r\n\r\n{"x":1}')
        with pytest.raises(UnsentError, match="begins with https"):
            Sender().post(there.url(), b"{}", {})
        assert len(there.requests) == 1


def test_development_reaches_no_other_machine() -> None:
    """The flag is for this machine: a name that leads elsewhere needs https and its port, and a public address."""
    for url, addresses in (
        ("http://hooks.example/", [PUBLIC]),
        ("https://hooks.example:8443/", [PUBLIC]),
        ("http://hooks.example/", ["10.0.0.1"]),
        ("http://hooks.example/", ["127.0.0.1", "10.0.0.1"]),
        ("http://hooks.example/", ["169.254.169.254"]),
    ):
        with pytest.raises(UnsentError):
            Sender(development=True, lookup=Names(addresses)).post(url, b"{}", {})


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_other_ways_to_write_this_machine_are_refused(host: str) -> None:
    """Numbers, octal and short forms, which the system's own lookup understands, are judged by where they lead."""
    with pytest.raises(UnsentError, match=r"loopback|has no address"):
        Sender().post(f"https://{host}/", b"{}", {})


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    """A name that leads to both kinds is refused, whichever comes first."""
    for addresses in ([PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC]):
        with pytest.raises(UnsentError, match="loopback"):
            Sender(lookup=Names(addresses)).post("https://hooks.example/", b"{}", {})


def test_a_name_that_leads_elsewhere_the_second_time_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is asked for once, and the connection goes to the address that was judged (DNS rebinding)."""
    connected: list[tuple[str, int]] = []

    def connect(address: tuple[str, int], **_options: float) -> socket.socket:
        connected.append(address)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(socket, "create_connection", connect)
    names = Names([PUBLIC], ["127.0.0.1"])
    with pytest.raises(UnsentError, match="cannot be reached"):
        Sender(lookup=names).post("https://hooks.example/", b"{}", {})
    assert (names.asked, connected) == (1, [(PUBLIC, 443)])


def test_the_next_address_is_tried_where_one_does_not_answer() -> None:
    """A receiver with several addresses is reached by any of them."""
    with receiver() as there:
        names = Names(["127.0.0.2", "127.0.0.1"])
        url = f"http://hooks.example:{there.port}/"
        assert Sender(development=True, lookup=names).post(url, b"{}", {}) == 200


def test_the_certificate_is_checked_against_the_name(tmp_path: Path) -> None:
    """TLS is spoken with the name that was asked for, though the connection goes to an address."""
    server, client = certified(tmp_path, "hooks.example")
    with receiver(context=server) as there:
        here = Sender(development=True, lookup=Names(["127.0.0.1"]), context=client)
        assert here.post(there.url(host="hooks.example"), b"{}", {}) == 200
        for sender, host in (
            (here, "other.example"),
            (Sender(development=True, lookup=Names(["127.0.0.1"])), "hooks.example"),
        ):
            with pytest.raises(UnsentError, match="no valid certificate"):
                sender.post(there.url(host=host), b"{}", {})
        assert len(there.requests) == 1


def test_redirects_are_not_followed() -> None:
    """A receiver that sends one elsewhere is told of as a failure, and where it points is not asked."""
    with receiver() as decoy:
        answer = f"HTTP/1.1 302 Found\r\nLocation: {decoy.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        with receiver(answer) as there, pytest.raises(UnsentError, match="redirects are not followed") as failed:
            HERE.post(there.url(), b"{}", {})
        assert failed.value.reached
        assert decoy.requests == []


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look names up again and connect to whatever it finds."""
    with receiver() as proxy, receiver() as there:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
            monkeypatch.setenv(name.upper(), proxy.url())
        monkeypatch.setenv("NO_PROXY", "")
        assert HERE.post(there.url(), b"{}", {}) == 200
        assert (proxy.requests, len(there.requests)) == ([], 1)


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "410 Gone", "500 Oops", "503 Busy"])
def test_a_refusal_is_told_by_its_status(status: str) -> None:
    """What is no success is a failure; of its body nothing is told, which may be an inner page of somebody."""
    with receiver(f"HTTP/1.1 {status}\r\nContent-Length: 6\r\n\r\nsecret".encode()) as there:
        with pytest.raises(UnsentError, match=status[:3]) as failed:
            HERE.post(there.url(), b"{}", {})
        assert "secret" not in str(failed.value)


def _dripping(head: bytes) -> Receiver:
    there = Receiver()

    def talk(link: socket.socket) -> None:
        there.requests.append(read_request(link))
        link.sendall(head)
        while True:
            link.sendall(b"x")
            time.sleep(0.02)

    there.talk = talk
    return there


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: "])
def test_an_answer_that_drips_ends_with_the_time(head: bytes) -> None:
    """A byte now and then keeps nobody waiting: an answered status counts, and a head without an end does not."""
    there, sender = _dripping(head), Sender(development=True, seconds=0.3)
    begun = time.monotonic()
    try:
        if head.endswith(b"\r\n\r\n"):
            assert sender.post(there.url(), b"{}", {}) == 200
        else:
            with pytest.raises(UnsentError, match="did not answer within"):
                sender.post(there.url(), b"{}", {})
        assert time.monotonic() - begun < 1.5
    finally:
        there.close()


def test_of_an_answer_only_so_much_is_read() -> None:
    """A body without an end is read up to 64 KiB."""
    there = Receiver()
    sent = [0]

    def talk(link: socket.socket) -> None:
        read_request(link)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        link.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while sent[0] < 64 * MOST:
            sent[0] += link.send(b"x" * 4096)

    there.talk = talk
    try:
        assert HERE.post(there.url(), b"{}", {}) == 200
    finally:
        there.close()
    assert sent[0] < 64 * MOST


@pytest.mark.parametrize(
    "answer", [b"", b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200]
)
def test_what_is_no_answer_is_a_failure(answer: bytes) -> None:
    """Nothing, another protocol, no status, a head without an end: none of it is taken for a success."""
    with receiver(answer) as there, pytest.raises(UnsentError):
        HERE.post(there.url(), b"{}", {})


def test_a_lookup_that_hangs_ends_with_the_time() -> None:
    """The name service has no more time than everything else."""

    def hang(_host: str, _port: int) -> Sequence[str]:
        time.sleep(2)
        return [PUBLIC]

    begun = time.monotonic()
    with pytest.raises(UnsentError, match="was not looked up"):
        Sender(seconds=0.1, lookup=hang).post("https://hooks.example/", b"{}", {})
    assert time.monotonic() - begun < 1


def test_headers_cannot_be_broken_out_of() -> None:
    """A line break in a header is a mistake of the caller's and never sent."""
    with receiver(OK) as there, pytest.raises(ValueError, match="line break"):
        HERE.post(there.url(), b"{}", {"X-Id": "7\r\nX-Other: 8"})


def test_a_port_may_be_allowed() -> None:
    """The operator can allow ports beside 443; others stay refused."""
    allowed = frozenset({443, 8443})
    assert target_of("https://hooks.example:8443/", ports=allowed).port == 8443
    with pytest.raises(RefusedUrlError, match="443, 8443"):
        target_of("https://hooks.example:9443/", ports=allowed)
