"""Browser: a headless Chromium that tests click in, told what to do over a pipe (CDP)."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from tests.commands import LONGEST

_KEYS = {"ArrowRight": 39, "ArrowDown": 40}


class Browser:
    """A page in Chromium."""

    def __init__(self, folder: Path) -> None:
        """Start one with its files in a folder; a test skips where there is none."""
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
        if found is None:
            pytest.skip("no chromium is installed: the page is not opened")
        theirs, self._to = os.pipe()
        self._from, ours = os.pipe()
        line = [found, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        line += ["--remote-debugging-pipe", f"--user-data-dir={folder}"]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{ours}', "bash", *line],
                pass_fds=(theirs, ours),
                stdout=log,
                stderr=log,
            )
        os.close(theirs)
        os.close(ours)
        self._count, self._read, self._session = 0, b"", None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method of the protocol; return what it gives."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            reply = self._message()
            if reply.get("id") == self._count:
                assert "error" not in reply, reply
                result: dict[str, Any] = reply["result"]
                return result

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            part = os.read(self._from, 1 << 20)
            assert part, "chromium ended"
            self._read += part
        message, _, self._read = self._read.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def screen(self, width: int, height: int, scheme: str = "light", phone: bool = False) -> None:
        """Look through a window, or at a phone, of some size, light or dark."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def open(self, url: str) -> None:
        """Open a page."""
        self.call("Page.navigate", url=url)

    def tell(self, expression: str) -> Any:
        """Return the value of an expression of JavaScript."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait(self, expression: str) -> None:
        """Wait until an expression is true."""
        until = time.monotonic() + LONGEST
        while not self.tell(f"!!({expression})"):
            assert time.monotonic() < until, (expression, self.tell("document.body.innerText"))
            time.sleep(0.05)

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        found: str = self.tell(f"document.querySelector({json.dumps(selector)}).textContent")
        return found

    def box(self, selector: str) -> tuple[float, float, float, float]:
        """Return left, top, width and height of an element, brought into sight."""
        found = self.tell(
            f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); const b = e.getBoundingClientRect();"
            " return [b.left, b.top, b.width, b.height]; })"
            f"(document.querySelector({json.dumps(selector)}))"
        )
        return tuple(found)

    def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        left, top, width, height = self.box(selector)
        self.drag((left + width / 2, top + height / 2))

    def drag(self, start: tuple[float, float], *to: tuple[float, float]) -> None:
        """Press the mouse somewhere, move it, and let go."""
        press = {"button": "left", "clickCount": 1, "buttons": 1}
        self._mouse("mouseMoved", start)
        self._mouse("mousePressed", start, **press)
        for place in to:
            self._mouse("mouseMoved", place, **press)
        self._mouse("mouseReleased", (start, *to)[-1], **press)

    def _mouse(self, kind: str, place: tuple[float, float], **press: Any) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **press)

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key."""
        text = {} if key in _KEYS else {"text": key}
        code = _KEYS.get(key, 0)
        for kind in ("keyDown", "keyUp"):
            more = text if kind == "keyDown" else {}
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=code,
                modifiers=8 * shift,
                **more,
            )

    def shot(self, path: Path) -> None:
        """Write what is to be seen as a PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """End it."""
        self._session = None
        self.call("Browser.close")
        os.close(self._to)
        os.close(self._from)
        self._process.wait(LONGEST)
