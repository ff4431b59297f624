"""A headless Firefox that tests drive through Marionette, its own protocol, on a port of this machine; methods as browser.Page has."""

import base64
import json
import shutil
import socket
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from browser import SECONDS, running

FIREFOX = next((found for name in ("firefox", "firefox-esr") if (found := shutil.which(name))), None)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name that WebDriver gives a reference to an element
ASKED = "performance.getEntriesByType('resource').map((one) => one.name)"
PREFERENCES = {"remote.prefs.recommended": True, "ui.systemUsesDarkTheme": 0, "layout.css.prefers-color-scheme.content-override": 1}


class FirefoxPage:
    """One open page."""

    def __init__(self, port: int) -> None:
        until = time.monotonic() + SECONDS
        while True:
            try:
                self.socket = socket.create_connection(("127.0.0.1", port), SECONDS)
                break
            except OSError:
                assert time.monotonic() < until, "Firefox did not open its port"
                time.sleep(0.2)
        self.rest, self.count = b"", 0
        self._message()  # its greeting
        self.ask("WebDriver:NewSession", capabilities={"alwaysMatch": {"acceptInsecureCerts": False}})
        self.ask("WebDriver:SetTimeouts", script=int(1000 * SECONDS), pageLoad=int(1000 * SECONDS))

    def ask(self, method: str, **parameters):
        """The result of one command."""
        self.count += 1
        content = json.dumps([0, self.count, method, parameters]).encode()
        self.socket.sendall(str(len(content)).encode() + b":" + content)
        _, number, error, result = self._message()
        assert number == self.count
        assert error is None, error
        return result

    def _message(self):
        while b":" not in self.rest:
            self._more()
        length, _, self.rest = self.rest.partition(b":")
        while len(self.rest) < int(length):
            self._more()
        content, self.rest = self.rest[: int(length)], self.rest[int(length) :]
        return json.loads(content)

    def _more(self) -> None:
        received = self.socket.recv(2**20)
        assert received, "Firefox ended"
        self.rest += received

    def open(self, path: Path, width: int = 1200, height: int = 900, *, dark: bool = False) -> None:
        """Load a file at a size, px, which is that of the inside of the window."""
        scheme = 0 if dark else 1
        self.ask("Marionette:SetContext", value="chrome")
        self.ask(
            "WebDriver:ExecuteScript",
            script=f"Services.prefs.setIntPref('layout.css.prefers-color-scheme.content-override', {scheme})",
            args=[],
        )
        self.ask("Marionette:SetContext", value="content")
        self.ask("WebDriver:Navigate", url=path.absolute().as_uri())
        self.ask("WebDriver:SetWindowRect", width=width, height=height)
        frame = self.value("[window.outerWidth - window.innerWidth, window.outerHeight - window.innerHeight]")
        self.ask("WebDriver:SetWindowRect", width=width + frame[0], height=height + frame[1])

    def value(self, expression: str):
        """What JavaScript in the page gives."""
        script = f"const done = arguments[arguments.length - 1]; Promise.resolve(({expression})).then((value) => done(value ?? null));"
        return self.ask("WebDriver:ExecuteAsyncScript", script=script, args=[], sandbox=None)["value"]

    def wait(self, expression: str, seconds: float = SECONDS) -> None:
        """Until JavaScript in the page says true."""
        until = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < until, (expression, self.value("document.getElementById('status')?.textContent"))
            time.sleep(0.1)

    def choose(self, selector: str, file: Path) -> None:
        """Give a file to an input."""
        found = self.ask("WebDriver:FindElement", using="css selector", value=selector)["value"][ELEMENT]
        self.ask("WebDriver:ElementSendKeys", id=found, text=str(file.absolute()))

    @property
    def errors(self) -> list[str]:
        """What the page itself says went wrong."""
        return [text for text in [self.value("document.querySelector('#status.bad')?.textContent")] if text]

    @property
    def requests(self) -> list[str]:
        """What the page asked for."""
        return list(self.value(ASKED))

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        path.write_bytes(base64.b64decode(self.ask("WebDriver:TakeScreenshot", full=True)["value"]))


@contextmanager
def firefox():
    """A page of a Firefox that ends with the block."""
    assert FIREFOX is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        preferences = {**PREFERENCES, "marionette.port": port}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
        (Path(profile) / "user.js").write_text("\n".join(lines))
        command = [FIREFOX, "--headless", "--no-remote", "--marionette", "--remote-allow-system-access", "--profile", profile]
        with running(command):
            yield FirefoxPage(port)
