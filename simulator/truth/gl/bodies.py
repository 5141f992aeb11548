"""The three vehicle shapes as triangle lists, built from tapered blocks and wheels.

A vehicle points along +x, its wheels stand on z = 0 and its origin is the middle of its footprint.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulator.truth.scene import BODY_SIZE_M, Body

Colour = tuple[float, float, float]


class Material(enum.IntEnum):
    """How the shader colours a face."""

    PLAIN = 0  # the mesh's own colour
    PAINT = 1  # the vehicle's colour
    GLASS = 2
    TAIL_LIGHT = 3
    HEADLIGHT = 4
    THIRD_BRAKE_LIGHT = 5  # dark unless braking


WHITE: Colour = (1.0, 1.0, 1.0)
DARK: Colour = (0.05, 0.055, 0.06)
RUBBER: Colour = (0.035, 0.035, 0.035)
RIM: Colour = (0.42, 0.43, 0.45)
PLATE: Colour = (0.85, 0.85, 0.80)
RED: Colour = (0.80, 0.05, 0.04)
LAMP: Colour = (0.95, 0.95, 0.88)


@dataclass(frozen=True, slots=True)
class BodyMesh:
    """`vertices` is (V, 10): position, normal, colour, material; the far mesh lacks small parts."""

    vertices: NDArray[np.float32]
    near_index: NDArray[np.int32]
    far_index: NDArray[np.int32]


class _Mesh:
    def __init__(self) -> None:
        self.rows: list[list[float]] = []
        self.is_small: list[bool] = []
        self._small = False

    @contextmanager
    def small_parts(self) -> Iterator[None]:
        """Faces added inside are left out of the far mesh."""
        self._small = True
        yield
        self._small = False

    def face(
        self, corners: Sequence[tuple[float, ...]], colour: Colour, material: Material
    ) -> None:
        """A convex polygon; its normal follows the right-hand rule."""
        points = np.array(corners)
        normal = np.cross(points[1] - points[0], points[2] - points[0])
        normal /= max(float(np.linalg.norm(normal)), 1e-9)
        for index in range(1, len(points) - 1):
            for corner in (points[0], points[index], points[index + 1]):
                self.rows.append([*corner, *normal, *colour, float(material)])
                self.is_small.append(self._small)

    def block(
        self,
        low: tuple[float, float, float, float],
        high: tuple[float, float, float, float, float],
        colour: Colour,
        material: Material = Material.PLAIN,
        end_material: Material | None = None,
    ) -> None:
        """A tapered block, symmetric in y.

        `low` is (rear x, front x, half width, z); `high` is (rear x, front x, half width, rear z,
        front z). The front and rear faces may have their own material.
        """
        (r0, f0, w0, z0), (r1, f1, w1, zr, zf) = low, high
        ends = material if end_material is None else end_material
        a, b, c, d = (r0, w0, z0), (r0, -w0, z0), (f0, -w0, z0), (f0, w0, z0)
        e, f, g, h = (r1, w1, zr), (r1, -w1, zr), (f1, -w1, zf), (f1, w1, zf)
        self.face([e, f, g, h], colour, material)
        self.face([b, c, g, f], colour, material)
        self.face([d, a, e, h], colour, material)
        self.face([a, b, f, e], colour, ends)
        self.face([c, d, h, g], colour, ends)

    def box(
        self, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float],
        colour: Colour, material: Material = Material.PLAIN,
    ) -> None:  # fmt: skip
        """An upright box anywhere."""
        (x0, x1), (y0, y1), (z0, z1) = x, y, z
        a, b, c, d = (x0, y1, z0), (x0, y0, z0), (x1, y0, z0), (x1, y1, z0)
        e, f, g, h = (x0, y1, z1), (x0, y0, z1), (x1, y0, z1), (x1, y1, z1)
        for corners in ([e, f, g, h], [b, c, g, f], [d, a, e, h], [a, b, f, e], [c, d, h, g]):
            self.face(corners, colour, material)

    def pair(
        self, x: tuple[float, float], y: tuple[float, float], z: tuple[float, float],
        colour: Colour, material: Material,
    ) -> None:  # fmt: skip
        """The same box left and right."""
        self.box(x, y, z, colour, material)
        self.box(x, (-y[1], -y[0]), z, colour, material)

    def wheels(self, axles_x: tuple[float, ...], half_width: float, radius: float) -> None:
        angles = np.linspace(0.0, 2 * np.pi, 11)
        for x in axles_x:
            for side in (1.0, -1.0):
                outer, inner = side * half_width, side * (half_width - 0.22)
                ring = [(x + radius * np.cos(t), radius + radius * np.sin(t)) for t in angles]
                hub = [(x + 0.6 * (px - x), radius + 0.6 * (pz - radius)) for px, pz in ring]
                order = ring[:-1] if side < 0 else ring[-2::-1]
                self.face([(px, outer, pz) for px, pz in order], RUBBER, Material.PLAIN)
                with self.small_parts():
                    order = ring[:-1] if side > 0 else ring[-2::-1]
                    self.face([(px, inner, pz) for px, pz in order], RUBBER, Material.PLAIN)
                    order = hub[:-1] if side < 0 else hub[-2::-1]
                    self.face([(px, outer * 1.004, pz) for px, pz in order], RIM, Material.PLAIN)
                    for (x0, z0), (x1, z1) in pairwise(ring):
                        tread = [(x0, inner, z0), (x0, outer, z0), (x1, outer, z1), (x1, inner, z1)]
                        self.face(tread if side > 0 else tread[::-1], RUBBER, Material.PLAIN)

    def pillar(
        self, foot: tuple[float, float], top: tuple[float, float],
        half_width: tuple[float, float], z: tuple[float, float],
    ) -> None:  # fmt: skip
        """A painted strip on both sides of the glass; `foot` and `top` are (rear x, front x)."""
        for side in (1.0, -1.0):
            w0, w1 = side * half_width[0], side * half_width[1]
            corners = [
                (foot[0], w0, z[0]),
                (foot[1], w0, z[0]),
                (top[1], w1, z[1]),
                (top[0], w1, z[1]),
            ]
            self.face(corners if side < 0 else corners[::-1], WHITE, Material.PAINT)


def _car(mesh: _Mesh) -> None:
    paint, glass = Material.PAINT, Material.GLASS
    mesh.block((-2.15, 2.15, 0.80, 0.18), (-2.25, 2.25, 0.86, 0.32, 0.32), DARK)
    mesh.block((-2.27, 2.27, 0.88, 0.30), (-2.30, 2.30, 0.925, 0.62, 0.60), WHITE, paint)
    mesh.block((-2.30, 2.30, 0.925, 0.61), (-2.20, 2.12, 0.86, 0.95, 0.76), WHITE, paint)
    mesh.block((-2.20, 1.10, 0.85, 0.80), (-2.12, 0.95, 0.83, 0.98, 0.93), WHITE, paint)
    mesh.block((-1.90, 1.05, 0.80, 0.93), (-1.32, 0.25, 0.62, 1.40, 1.40), DARK, glass)
    mesh.block((-1.36, 0.30, 0.64, 1.385), (-1.25, 0.18, 0.58, 1.45, 1.45), WHITE, paint)
    mesh.pillar((-1.98, -1.62), (-1.36, -1.12), (0.815, 0.635), (0.93, 1.40))
    mesh.pillar((-0.50, -0.38), (-0.46, -0.36), (0.815, 0.635), (0.93, 1.40))
    mesh.pillar((0.98, 1.08), (0.20, 0.28), (0.815, 0.635), (0.93, 1.40))
    for side in (1.0, -1.0):  # rear pillars as seen from behind
        edge = [(-1.925, side * 0.83, 0.95), (-1.925, side * 0.70, 0.95)]
        edge += [(-1.345, side * 0.54, 1.40), (-1.345, side * 0.645, 1.40)]
        mesh.face(edge if side > 0 else edge[::-1], WHITE, paint)
    mesh.pair((-2.32, -2.20), (0.52, 0.87), (0.68, 0.84), RED, Material.TAIL_LIGHT)
    mesh.pair((2.10, 2.31), (0.50, 0.86), (0.56, 0.70), LAMP, Material.HEADLIGHT)
    mesh.box((-2.33, -2.28), (-0.27, 0.27), (0.66, 0.78), PLATE)
    mesh.box((-2.32, -2.25), (-0.80, 0.80), (0.34, 0.46), DARK)
    mesh.box((2.25, 2.315), (-0.55, 0.55), (0.36, 0.52), DARK)
    mesh.box((-1.37, -1.30), (-0.22, 0.22), (1.385, 1.43), RED, Material.THIRD_BRAKE_LIGHT)
    mesh.pair((0.70, 0.88), (0.90, 1.02), (0.93, 1.06), WHITE, paint)
    mesh.wheels((-1.38, 1.40), 0.91, 0.33)


def _van(mesh: _Mesh) -> None:
    paint, glass = Material.PAINT, Material.GLASS
    mesh.block((-2.60, 2.55, 0.86, 0.20), (-2.66, 2.66, 0.92, 0.40, 0.40), DARK)
    mesh.block((-2.68, 2.68, 0.96, 0.36), (-2.70, 2.70, 1.00, 1.15, 0.85), WHITE, paint)
    mesh.block((-2.70, 2.62, 1.00, 0.84), (-2.62, 1.55, 0.88, 2.30, 2.25), WHITE, paint)
    wind = [(2.50, 0.86, 1.00), (2.50, -0.86, 1.00), (1.70, -0.80, 2.08), (1.70, 0.80, 2.08)]
    mesh.face([wind[1], wind[0], wind[3], wind[2]], DARK, glass)
    for side in (1.0, -1.0):
        cab = [(1.95, side * 0.985, 1.22), (0.85, side * 0.985, 1.22)]
        cab += [(0.85, side * 0.905, 2.02), (1.42, side * 0.905, 2.02)]
        mesh.face(cab if side > 0 else cab[::-1], DARK, glass)
        rear = [(-2.695, side * 0.82, 1.32), (-2.695, side * 0.08, 1.32)]
        rear += [(-2.655, side * 0.08, 1.98), (-2.655, side * 0.76, 1.98)]
        mesh.face(rear if side > 0 else rear[::-1], DARK, glass)
    mesh.pair((-2.73, -2.60), (0.84, 0.99), (0.80, 1.24), RED, Material.TAIL_LIGHT)
    mesh.pair((2.60, 2.72), (0.58, 0.92), (0.70, 0.90), LAMP, Material.HEADLIGHT)
    mesh.box((-2.73, -2.66), (-0.27, 0.27), (0.72, 0.84), PLATE)
    mesh.box((-2.74, -2.64), (-0.95, 0.95), (0.36, 0.52), DARK)
    mesh.box((-2.68, -2.58), (-0.22, 0.22), (2.14, 2.20), RED, Material.THIRD_BRAKE_LIGHT)
    mesh.pair((1.75, 1.95), (0.98, 1.16), (1.20, 1.45), DARK, Material.PLAIN)
    mesh.wheels((-1.65, 1.65), 0.98, 0.36)


def _truck(mesh: _Mesh) -> None:
    paint, glass = Material.PAINT, Material.GLASS
    mesh.block((-4.40, 4.30, 0.95, 0.55), (-4.40, 4.30, 0.95, 0.98, 0.98), DARK)
    mesh.block((-4.50, 2.20, 1.25, 0.95), (-4.50, 2.20, 1.25, 3.40, 3.40), WHITE, paint)
    cab: Colour = (0.72, 0.72, 0.74)
    mesh.block((2.40, 4.50, 1.18, 0.50), (2.40, 4.45, 1.16, 1.75, 1.75), cab)
    mesh.block((2.40, 4.45, 1.16, 1.74), (2.45, 4.05, 1.05, 2.85, 2.70), cab)
    wind = [(4.47, -1.02, 1.78), (4.47, 1.02, 1.78), (4.13, 0.94, 2.60), (4.13, -0.94, 2.60)]
    mesh.face(wind, DARK, glass)
    for side in (1.0, -1.0):
        door = [(4.10, side * 1.17, 1.70), (3.10, side * 1.17, 1.70)]
        door += [(3.10, side * 1.10, 2.45), (3.90, side * 1.10, 2.45)]
        mesh.face(door if side > 0 else door[::-1], DARK, glass)
    for y in (-0.02, 1.19, -1.23):  # the seams of the rear doors
        mesh.box((-4.515, -4.49), (y, y + 0.04), (1.0, 3.35), DARK)
    mesh.box((-4.53, -4.40), (-1.20, 1.20), (0.50, 0.66), DARK)
    mesh.pair((-4.54, -4.42), (0.62, 1.20), (0.70, 0.92), RED, Material.TAIL_LIGHT)
    mesh.box((-4.54, -4.42), (-0.27, 0.27), (0.72, 0.86), PLATE)
    mesh.pair((4.40, 4.53), (0.70, 1.10), (0.62, 0.88), LAMP, Material.HEADLIGHT)
    mesh.pair((3.95, 4.15), (1.20, 1.38), (1.80, 2.30), DARK, Material.PLAIN)
    mesh.wheels((-3.30, -2.10, 3.30), 1.22, 0.50)


@lru_cache(maxsize=1)
def meshes() -> dict[Body, BodyMesh]:
    """All bodies, built once per process."""
    built = {}
    for body, build in ((Body.CAR, _car), (Body.VAN, _van), (Body.TRUCK, _truck)):
        mesh = _Mesh()
        build(mesh)
        vertices, index = np.unique(np.array(mesh.rows, np.float32), axis=0, return_inverse=True)
        near = index.ravel().astype(np.int32)
        built[body] = BodyMesh(vertices, near, near[~np.array(mesh.is_small)])
    return built


def lamps_m(body: Body) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """(x, half spacing, z) of tail lights and headlights, where glow is drawn."""
    length, width, _ = BODY_SIZE_M[body]
    tail_z = {Body.CAR: 0.76, Body.VAN: 1.02, Body.TRUCK: 0.81}[body]
    head_z = {Body.CAR: 0.63, Body.VAN: 0.80, Body.TRUCK: 0.75}[body]
    return (-length / 2, 0.38 * width, tail_z), (length / 2, 0.38 * width, head_z)
