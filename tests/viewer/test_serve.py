"""`dreamlane serve`: a real server, a real browser with real keys, and pages that may not drive."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pygame
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.viewer.inputs import Command, Key, Rewind, Stroke, translate
from simulator.viewer.keys import Keys
from simulator.viewer.web import messages
from simulator.viewer.web.server import bound

pytest.importorskip("websockets", reason="needs the extra `serve`")
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

PATIENCE_S = 180.0
BRAKE_RED = (235, 90, 80)
BACKWARDS = (230, 120, 40)

COUNT = """([r, g, b]) => {
  const c = document.getElementById("window");
  const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  let n = 0;
  for (let i = 0; i < d.length; i += 4)
    n += Math.abs(d[i] - r) + Math.abs(d[i + 1] - g) + Math.abs(d[i + 2] - b) < 40;
  return n > 200;
}"""


# started in the background, a shell's jobs ignore SIGINT, and so would this one
STARTED = """import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
from simulator.cli import main; main()"""


class Served:
    """A running `dreamlane serve` of the reference world."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                STARTED,
                "serve",
                "--env",
                "truth",
                "--port",
                "0",
                *options,
            ],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            cwd=folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self.until("SERVING").split()[1]
        self.port = int(self.url.split(":")[2].split("/")[0])

    def until(self, word: str) -> str:
        """The first line that begins so."""
        assert self.process.stdout is not None
        return next(line for line in self.process.stdout if line.startswith(word))

    def visit(self, query: str = "", **options: object) -> ClientConnection:
        return connect(f"ws://127.0.0.1:{self.port}/drive{query}", **options)  # type: ignore[arg-type]

    def end(self) -> str:
        """Ctrl-C; what it said last."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=PATIENCE_S)[0]


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[..., Served]]:
    started: list[Served] = []

    def start(*options: str) -> Served:
        started.append(Served(tmp_path, *options))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


def first_picture(page: ClientConnection) -> bytes:
    while not isinstance(got := page.recv(PATIENCE_S), bytes):
        assert "refused" not in got, got
    return got


def test_a_person_drives_in_a_browser(serve, browser):
    served = serve()
    page = browser.new_page(viewport={"width": 1100, "height": 700})
    page.set_default_timeout(1000 * PATIENCE_S)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    # a gamepad that a test can press
    page.add_init_script(
        "window.pad = {mapping: 'standard', axes: [0, 0], buttons: "
        "Array.from({length: 17}, () => ({value: 0, pressed: false}))};"
        "navigator.getGamepads = () => [window.pad];"
    )
    page.goto(served.url)
    page.wait_for_function("document.getElementById('word').textContent === ''")
    seen = lambda colour: page.wait_for_function(COUNT, arg=list(colour))  # noqa: E731
    page.keyboard.down("ArrowDown")
    seen(BRAKE_RED)
    page.keyboard.up("ArrowDown")
    page.keyboard.down("Backspace")
    seen(BACKWARDS)
    page.keyboard.up("Backspace")
    page.wait_for_function(f"!({COUNT})([{','.join(map(str, BRAKE_RED))}])")
    page.evaluate("Object.assign(window.pad.buttons[6], {value: 1, pressed: true})")
    seen(BRAKE_RED)
    page.close()
    said = served.end()
    assert complaints == []
    assert "Drove" in said
    assert "ms from here into the page" in said
    assert served.process.returncode == 0


def test_one_person_at_a_time_and_time_stands_still_in_between(serve):
    served = serve()
    served.until("RUNNING")
    with served.visit() as driver:
        first_picture(driver)
        with served.visit() as other:
            assert "somebody else" in json.loads(other.recv(PATIENCE_S))["refused"]
        driver.send("seen")
        driver.send('{"type": "key", "key": "ArrowDown", "down": true}')
        for _ in range(20):
            driver.recv(PATIENCE_S)
            driver.send("seen")
    with served.visit() as again:
        first_picture(again)
        again.send("seen")
        more = 0
        try:
            while again.recv(0.7):  # what the window still had to draw when the driver left
                again.send("seen")
                more += 1
        except TimeoutError:
            pass
        assert more < 5, "the world went on although nobody was there"
        again.send('{"type": "key", "key": " ", "down": true}')  # goes on
        for _ in range(5):
            again.recv(PATIENCE_S)
            again.send("seen")


def test_a_page_hears_that_the_drive_is_over(serve):
    served = serve()
    with served.visit() as page:
        first_picture(page)
        page.send("seen")
        served.process.send_signal(signal.SIGINT)
        last: str | bytes = ""
        try:
            while True:
                last = page.recv(PATIENCE_S)
                page.send("seen")
        except ConnectionClosed:
            pass
        assert "over" in json.loads(last)


@pytest.mark.parametrize(
    ("options", "headers", "query", "said"),
    [
        ((), {"Origin": "http://elsewhere.example"}, "", "from elsewhere"),
        (("--host", "0.0.0.0"), {}, "", "lacks the token"),
        (("--host", "0.0.0.0"), {}, "?token=guess", "lacks the token"),
    ],
)
def test_who_may_not_drive_is_told_why(serve, options, headers, query, said):
    served = serve(*options)
    with served.visit(query, additional_headers=headers) as page:
        assert said in json.loads(page.recv(PATIENCE_S))["refused"]


def test_the_printed_address_holds_the_token(serve):
    served = serve("--host", "0.0.0.0")
    with served.visit("?" + served.url.partition("?")[2]) as page:
        assert first_picture(page)[:3] == b"\xff\xd8\xff"  # a JPEG


def test_nonsense_ends_the_visit_and_not_the_drive(serve):
    served = serve()
    with served.visit() as page:
        page.send('{"type": "wish"}')
        with pytest.raises(ConnectionClosed, match="wish"):
            list(page)  # until the server ends it
    with served.visit() as page:
        first_picture(page)


def test_a_taken_port_is_named():
    with bound("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"port {number}: .*--port"):
            bound("127.0.0.1", number)
    with pytest.raises(OSError, match="port 99999"):
        bound("127.0.0.1", 99999)


SIZE = (512, 322)
KEYS = Keys()


def said(**message: object) -> list[object]:
    found = messages.events(json.dumps(message), SIZE, messages.known_keys(KEYS))
    return [translate(event, KEYS) for event in found]


def test_keys_and_mouse_mean_what_they_mean_in_the_window():
    left, space = said(type="key", key="ArrowLeft", down=True), said(type="key", key=" ", down=True)
    assert isinstance(left[0], Key)
    assert left[0].down
    assert space == [Command.PAUSE]
    assert said(type="key", key="Backspace", down=False) == [Rewind(False)]
    assert said(type="mouse", what="down", button=0, x=1.0, y=0.5) == [Stroke((511, 160), "down")]
    assert said(type="blur") != [None]


def test_a_page_can_neither_quit_nor_resize():
    for key in ("q", "Escape", "f", "+", "F99", "é"):
        assert said(type="key", key=key, down=True) == []


def test_a_gamepad_in_the_browser_counts_like_one_here():
    (event,) = messages.events('{"type": "axis", "axis": 5, "value": 3}', SIZE, [])
    assert (event.type, event.axis, event.value) == (pygame.JOYAXISMOTION, 5, 1.0)


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_whatever_else_comes_is_an_error_that_shows_it(message):
    with pytest.raises(ValueError, match="message"):
        messages.events(message, SIZE, [])
