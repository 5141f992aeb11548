"""`dreamlane serve`: the window in a browser, for people whose processor or GPU is elsewhere."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import Annotated

import pygame
import typer

from simulator.play_cli import (
    Beside,
    Deadline,
    Difference,
    Env,
    Forced,
    Model,
    Record,
    Scale,
    Scenario,
    Seed,
    Stamp,
    TextSize,
    Who,
    drive,
    menu_of,
    settings_of,
)
from simulator.viewer.app import Viewer
from simulator.viewer.web.messages import BROWSER, known_keys
from simulator.viewer.web.screen import Screen
from simulator.viewer.web.server import LOOPBACK, Server, bound


def serve(
    env: Env = "dream",
    scenario: Scenario = None,
    model: Model = "town",
    scale: Scale = 4,
    policy: Who = "human",
    seed: Seed = 0,
    deadline: Deadline = None,
    beside: Beside = None,
    difference: Difference = False,
    forced: Forced = False,
    text_size: TextSize = 1.0,
    stamp: Stamp = False,
    record: Record = None,
    host: Annotated[
        str, typer.Option(help="address to listen on; 0.0.0.0 for all, which then takes a token")
    ] = LOOPBACK[0],
    port: Annotated[int, typer.Option(help="0 for a free one")] = 8765,
) -> None:
    """Drive in a browser, with the keyboard, the mouse or a gamepad; one person at a time."""
    settings = settings_of(
        env, scenario, model, deadline, beside, difference, forced, scale, policy,
        text_size=text_size, stamp=stamp, seed=seed, record=record,
    )  # fmt: skip
    token = None if host in LOOPBACK else secrets.token_urlsafe(16)
    with bound(host, port) as listening:
        os.environ["SDL_VIDEODRIVER"] = "dummy"  # the window is the page
        screen = Screen()
        viewer = Viewer(settings, shown=screen.publish, places=menu_of(settings, model))

        def post(event: pygame.event.Event) -> None:
            if event.type == pygame.JOYAXISMOTION and not viewer.gamepads.knows(BROWSER):
                viewer.gamepads.add(BROWSER, "browser")
            with suppress(pygame.error):  # the window is closed already
                pygame.event.post(event)

        def left() -> None:
            """Nobody is there: the keys go up and time stands still."""
            viewer.session.paused = True
            post(pygame.event.Event(pygame.WINDOWFOCUSLOST))

        if policy != "human":
            viewer.session.paused = True
        server = Server(screen, post, left, token, known_keys(viewer.keys))
        viewer.open()
        server.start(listening)
        number = listening.getsockname()[1]
        where = f"[{host}]" if ":" in host else host
        query = "" if token is None else f"/?token={token}"
        print(f"SERVING http://{where}:{number}{query} (Ctrl-C ends it)", flush=True)
        why = "the drive is over"
        try:
            drive(viewer)
        except Exception as error:
            why = f"the world stopped: {error}"
            raise
        finally:
            server.stop(why)
        if screen.taken_ms is not None:
            print(f"A picture took {screen.taken_ms:.0f} ms from here into the page (median).")
