"""A receiver of notices on this machine, and a certificate of its own, for tests."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver:
    """Answers every connection by a function of its request; ``requests`` are those that came."""

    def __init__(self, answer: Callable[[bytes], bytes] | bytes = OK, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self.talk: Callable[[socket.socket], None] = self._talk
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """Return where it listens."""
        return f"{'https' if self._context else 'http'}://{host}:{self.port}{path}"

    def close(self) -> None:
        """Stop listening."""
        with socket.create_connection(("127.0.0.1", self.port)):
            self._listening.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listening.accept()
            except OSError:
                return
            try:
                if self._context is not None:
                    link = self._context.wrap_socket(link, server_side=True)
                self.talk(link)
            except OSError:
                pass
            finally:
                link.close()

    def _talk(self, link: socket.socket) -> None:
        request = read_request(link)
        if not request:
            return
        self.requests.append(request)
        link.sendall(self.answer(request) if callable(self.answer) else self.answer)


def read_request(link: socket.socket) -> bytes:
    """Read a request with the body its length says."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = link.recv(4096)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += link.recv(4096)
    return head + b"\r\n\r\n" + body


@contextmanager
def receiver(
    answer: Callable[[bytes], bytes] | bytes = OK, context: ssl.SSLContext | None = None
) -> Iterator[Receiver]:
    """Run a receiver for the time of a block."""
    running = Receiver(answer, context)
    try:
        yield running
    finally:
        running.close()


def certified(directory: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the contexts of a server with a certificate for a name, and of a client that trusts it."""
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", f"/CN={name}"]
    subprocess.run([*command, "-addext", f"subjectAltName=DNS:{name}"], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    return server, ssl.create_default_context(cafile=str(certificate))
