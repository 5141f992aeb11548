"""The window's colours."""

from __future__ import annotations

INK, DIM, PANEL = (235, 238, 240), (140, 148, 155), (22, 25, 28)
GOOD, WARN, BAD = (96, 200, 120), (240, 190, 70), (235, 90, 80)

# of the border round the picture: a recorded frame, a drawn one, a recorded one in the middle of a drive,
# time that runs backwards. Told apart by colour-blind eyes as well
RECORDED, DRAWN, REANCHORED, BACKWARDS = (
    (60, 100, 255),
    (80, 215, 140),
    (190, 20, 50),
    (230, 120, 40),
)

Colour = tuple[int, int, int]
