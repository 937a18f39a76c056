"""Chromium without a window, driven over a pipe by its DevTools protocol with the standard library alone.

Source: https://chromedevtools.github.io/devtools-protocol/ (``--remote-debugging-pipe``: messages end in a zero byte).
"""

import json
import os
import select
import shutil
import signal
import tempfile
import time
from contextlib import suppress

#: The browser's command, or ``None`` where there is none.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_SECONDS = 30
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
)


class Browser:
    """One tab of a fresh browser; a context manager."""

    def __enter__(self):
        self._home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        to_child, self._out = os.pipe()
        self._in, from_child = os.pipe()
        # The protocol's pipes are the descriptors 3 and 4.
        files = [(os.POSIX_SPAWN_DUP2, to_child, 3), (os.POSIX_SPAWN_DUP2, from_child, 4)]
        files += [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
        command = [CHROMIUM, *_FLAGS, f"--user-data-dir={self._home.name}", "--remote-debugging-pipe", "about:blank"]
        self._pid = os.posix_spawn(CHROMIUM, command, os.environ, file_actions=files)
        os.close(to_child)
        os.close(from_child)
        self._number, self._buffer, self._session = 0, b"", None
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._end()
        os.close(self._in)
        os.close(self._out)
        self._home.cleanup()

    def _end(self):
        """End the browser, whether it will or not."""
        for how, tries in ((signal.SIGTERM, 250), (signal.SIGKILL, 250)):
            with suppress(ProcessLookupError):
                os.kill(self._pid, how)
            for _ in range(tries):
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    return
                time.sleep(0.02)

    def _ask(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        while b"\0" not in self._buffer:
            assert select.select([self._in], [], [], _SECONDS)[0], "the browser does not answer"
            part = os.read(self._in, 1 << 16)
            assert part, "the browser is gone"
            self._buffer += part
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def _run(self, script):
        result = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def _wait(self, condition):
        until = time.monotonic() + _SECONDS
        while not self._run(condition):
            assert time.monotonic() < until, f"{condition} does not come true"
            time.sleep(0.02)

    def _load(self, begin):
        """Begin to leave the page and wait for the next one."""
        self._run("window.left = true")
        begin()
        self._wait("!window.left && document.readyState === 'complete'")

    def go(self, url):
        """Open an address."""
        self._load(lambda: self._ask("Page.navigate", url=url))

    def fill(self, values):
        """Type texts into the fields with these ids, else names."""
        for name, value in values.items():
            field = f"[document.getElementById({json.dumps(name)}), ...document.getElementsByName({json.dumps(name)})]"
            self._run(f"{field}.find(each => each).focus()")
            self._run(f"{field}.find(each => each).select()")
            self._ask("Input.insertText", text=value)

    def submit(self, do):
        """Press the button of the form that does something, and wait for the next page."""
        button = f"document.querySelector('input[name=do][value={do}]').form.querySelector('button')"
        self._load(lambda: self._run(f"{button}.click()"))

    def click(self, label):
        """Press the button with this label, and wait for the next page."""
        buttons = f"[...document.querySelectorAll('button')].filter(b => b.innerText.trim() == {json.dumps(label)})"
        self._load(lambda: self._run(f"{buttons}[0].click()"))

    def text(self):
        """Return the words of the page."""
        return self._run("document.body.innerText")
