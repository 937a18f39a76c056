"""A browser that takes pictures, in either colour scheme and any width, and is driven by its keyboard."""

import base64
from pathlib import Path
from typing import Any

from tests.sandbox.browser import Browser

_KEYS = {"Tab": 9, "Enter": 13}


class Viewer(Browser):  # type: ignore[misc]  untyped there
    """One tab, looked at and typed in as a person does."""

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        """Set the size of the window and the colours the person prefers."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    def without_scripts(self) -> None:
        """Let no page run a script; what tests ask of a page goes on."""
        self._ask("Emulation.setScriptExecutionDisabled", value=True)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """Keep a picture of the page, all of it or what is seen."""
        shown = {"format": "png", "captureBeyondViewport": whole, **self._clip(whole=whole)}
        found = self._ask("Page.captureScreenshot", **shown)
        path.write_bytes(base64.b64decode(found["data"]))

    def _clip(self, *, whole: bool) -> dict[str, Any]:
        if not whole:
            return {}
        size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def press(self, key: str) -> None:
        """Press a key."""
        text = {"text": "\r"} if key == "Enter" else {}
        stroke = {"key": key, "code": key, "windowsVirtualKeyCode": _KEYS[key]}
        self._ask("Input.dispatchKeyEvent", type="keyDown", **stroke, **text)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **stroke)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self._ask("Input.insertText", text=text)

    def focused(self) -> str:
        """Return the words of what has the focus, or its name."""
        return str(self.run("(e => (e.innerText || e.name || e.tagName).trim())(document.activeElement)"))

    def run(self, script: str) -> Any:
        """Ask something of the page."""
        return self._run(script)

    def leaving(self, do: Any) -> None:
        """Do something that leads to another page, and wait for it."""
        self._load(do)
