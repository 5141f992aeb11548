"""The reference camera: draws a scene as seen through the ego car's windscreen, without a display.

moderngl through EGL: the GPU where there is one, Mesa's llvmpipe on the CPU elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import moderngl
import numpy as np
from numpy.typing import NDArray

from simulator.truth.gl import textures
from simulator.truth.gl.backdrop import Backdrop
from simulator.truth.gl.layer import (
    FRAME_BINDING,
    LOOK_BINDING,
    TEXTURE_UNITS,
    Frame,
    Gpu,
    Variant,
)
from simulator.truth.gl.road import Road
from simulator.truth.gl.roadside import Roadside
from simulator.truth.gl.vehicles import Vehicles
from simulator.truth.gl.weather import look_of
from simulator.truth.scene import WEATHERS, Body, Scene, View

GRADE_BASE_M = 1.4
"""The road's grade is read this far behind and ahead of the car's centre: at the axles."""


class CameraError(OSError):
    """The camera can't draw: OpenGL is missing, or it was used before `load` or after `close`."""


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """Picture size and how the camera is mounted in the ego car."""

    height_px: int = 128
    width_px: int = 256
    horizontal_fov_deg: float = 80.0
    mount_height_m: float = 1.35
    mount_forward_m: float = 0.5  # ahead of the car's centre
    mount_pitch_rad: float = -0.02  # looking slightly down
    supersampling: float = 1.5  # drawn this much larger, then averaged down

    def __post_init__(self) -> None:
        if self.height_px < 16 or self.width_px < 16:
            raise ValueError(
                f"camera size {self.height_px}x{self.width_px}: use at least 16x16 pixels"
            )
        if not 20.0 <= self.horizontal_fov_deg <= 120.0:
            raise ValueError(f"horizontal_fov_deg={self.horizontal_fov_deg}: use 20 to 120 degrees")
        if not 1.0 <= self.supersampling <= 4.0:
            raise ValueError(f"supersampling={self.supersampling}: use 1 to 4")


class Camera:
    """Draws scene after scene; one instance holds one OpenGL context.

    Create it after forking, use it from the thread that made it. Pictures are bit-identical for
    equal scenes and views on one machine; another driver may round differently.
    """

    NEAR_M, FAR_M = 0.3, 1600.0

    def __init__(self, config: CameraConfig | None = None) -> None:
        """Raises CameraError if no OpenGL 3.3 context can be made through EGL."""
        self.config = config = config or CameraConfig()
        self._context = _create_context()
        tangent = float(np.tan(np.radians(config.horizontal_fov_deg) / 2))
        self._half_angles = (tangent, tangent * config.height_px / config.width_px)
        near, far = self.NEAR_M, self.FAR_M
        self._projection = np.array(
            [
                [1 / self._half_angles[0], 0, 0, 0],
                [0, -1 / self._half_angles[1], 0, 0],  # OpenGL rows go up, picture rows go down
                [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
                [0, 0, -1, 0],
            ]
        )
        size = (config.width_px, config.height_px)
        self._drawn_px = (
            round(size[0] * config.supersampling),
            round(size[1] * config.supersampling),
        )
        context = self._context
        self._picture = context.framebuffer(
            [context.renderbuffer(self._drawn_px, 4)], context.depth_renderbuffer(self._drawn_px)
        )
        self._classes = context.framebuffer(
            [context.renderbuffer(size, 1)], context.depth_renderbuffer(size)
        )
        self._pixels = np.empty((self._drawn_px[1], self._drawn_px[0], 4), np.uint8)
        self._frame_block = context.buffer(reserve=128, dynamic=True)
        self._look_block = context.buffer(reserve=176, dynamic=True)
        self._textures = {
            "noise": textures.upload(context, textures.noise()),
            "clouds": textures.upload(context, textures.clouds()),
            "trees": textures.upload(context, textures.trees(), repeat=False),
        }
        self._gpu = Gpu(context)
        self._backdrop = Backdrop(self._gpu, self._half_angles)
        self._road = Road(self._gpu)
        self._roadside = Roadside(self._gpu)
        self._vehicles = Vehicles(self._gpu)
        self._scene: Scene | None = None
        self._variant: Variant = frozenset()
        self._closed = False

    @property
    def device(self) -> str:
        """What draws, in the driver's words."""
        with self._context:  # GL answers for the current context only
            return str(self._context.info["GL_RENDERER"])

    def load(self, scene: Scene) -> None:
        """Take over a scene for the renders that follow; the previous one is released."""
        self._check_open()
        _check_scene(scene)
        look = look_of(scene)
        with self._context:  # several cameras may live in one process
            self._look_block.write(look.packed())
            self._road.load(scene.lanes)
        self._roadside.load(scene.scenery, scene.hills)
        self._variant = look.weather.variant
        self._scene = scene

    def render(self, view: View) -> NDArray[np.uint8]:
        """The picture at `view`: (height, width, 3) RGB, a fresh array."""
        with self._context:
            self._prepare(view)
            return self._read_picture()

    def classes(self, view: View) -> NDArray[np.uint8]:
        """What each pixel of the picture at `view` shows: (height, width) of `PixelClass`."""
        with self._context:
            self._prepare(view)
            return self._read_classes()

    def render_with_classes(self, view: View) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The picture and its class mask, cheaper than one after the other."""
        with self._context:
            self._prepare(view)
            return self._read_picture(), self._read_classes()

    def close(self) -> None:
        """Free the OpenGL context and all it holds. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        with self._context:
            for part in (self._backdrop, self._road, self._roadside, self._vehicles, self._gpu):
                part.release()
            for texture in self._textures.values():
                texture.release()
            for framebuffer in (self._picture, self._classes):
                framebuffer.release()
            self._frame_block.release()
            self._look_block.release()
        self._context.release()

    def _prepare(self, view: View) -> None:
        """Place the camera and choose what is in view."""
        self._check_open()
        scene = self._scene
        if scene is None:
            raise CameraError("nothing to draw: call load(scene) before render(view)")
        _check_view(view)
        self._frame = frame = self._place(view, scene)
        self._frame_block.write(frame.packed())
        self._road.prepare(frame)
        self._roadside.prepare(frame)
        self._vehicles.prepare(frame, view.actors, scene.hills, "NIGHT" in self._variant)

    def _read_picture(self) -> NDArray[np.uint8]:
        self._draw(self._variant, self._picture)
        self._picture.read_into(self._pixels, components=4)
        # At 1.5x, linear weights (3/4, 1/4) are close to area weights (2/3, 1/3) and much faster.
        method = cv2.INTER_LINEAR if self.config.supersampling <= 2.0 else cv2.INTER_AREA
        size = (self.config.width_px, self.config.height_px)
        small = cv2.resize(self._pixels, size, interpolation=method)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGBA2RGB), np.uint8)

    def _read_classes(self) -> NDArray[np.uint8]:
        self._draw(frozenset({"CLASSES"}), self._classes)
        mask = np.empty((self.config.height_px, self.config.width_px), np.uint8)
        self._classes.read_into(mask, components=1, alignment=1)
        return mask

    def _place(self, view: View, scene: Scene) -> Frame:
        """The camera's axes for a car that stands on the hills at `view`."""
        config = self.config
        cos_yaw, sin_yaw = np.cos(view.yaw_rad), np.sin(view.yaw_rad)
        along = np.array([-GRADE_BASE_M, 0.0, GRADE_BASE_M])
        heights = scene.hills.height_m(view.x_m + along * cos_yaw, view.y_m + along * sin_yaw)
        grade = np.arctan2(heights[2] - heights[0], 2 * GRADE_BASE_M)
        pitch = grade + view.pitch_rad + config.mount_pitch_rad
        forward = np.array([cos_yaw * np.cos(pitch), sin_yaw * np.cos(pitch), np.sin(pitch)])
        right = np.array([sin_yaw, -cos_yaw, 0.0])
        ahead = config.mount_forward_m
        eye = np.array(
            [
                view.x_m + ahead * cos_yaw,
                view.y_m + ahead * sin_yaw,
                heights[1] + ahead * np.sin(grade) + config.mount_height_m,
            ]
        )
        up = np.array([-cos_yaw * np.sin(pitch), -sin_yaw * np.sin(pitch), np.cos(pitch)])
        return Frame(eye, forward, right, up, self._projection, self._half_angles[0])

    def _draw(self, variant: Variant, target: moderngl.Framebuffer) -> None:
        """Opaque things from near to far, then what is blended over the ground."""
        context, classes = self._context, "CLASSES" in variant
        self._frame_block.bind_to_uniform_block(FRAME_BINDING)
        self._look_block.bind_to_uniform_block(LOOK_BINDING)
        for sampler, texture in self._textures.items():
            texture.use(TEXTURE_UNITS[sampler])
        target.use()
        target.depth_mask = True
        target.clear(depth=1.0)  # class 0 is the sky
        context.front_face = "cw"  # the projection mirrors y
        context.enable_only(moderngl.DEPTH_TEST | moderngl.CULL_FACE)
        self._vehicles.draw(variant)
        context.enable_only(moderngl.DEPTH_TEST)
        self._roadside.draw(variant)
        self._road.draw_surface(variant)
        self._backdrop.draw_ground(variant)
        self._backdrop.draw_far(self._frame, variant)
        target.depth_mask = False
        if not classes:
            context.enable(moderngl.BLEND)
            context.blend_func = moderngl.SRC_ALPHA, moderngl.ONE_MINUS_SRC_ALPHA
        self._road.draw_shoulders(variant)
        context.polygon_offset = -1.0, -1.0
        self._road.draw_paint(variant)
        if not classes:
            self._roadside.draw_shadows(variant)
            self._vehicles.draw_shadows(variant)
            context.polygon_offset = 0.0, 0.0
            context.blend_func = moderngl.ONE, moderngl.ONE
            self._vehicles.draw_glow(variant)
        context.polygon_offset = 0.0, 0.0
        target.depth_mask = True

    def _check_open(self) -> None:
        if self._closed:
            raise CameraError("this camera is closed: create a new Camera")


def _create_context() -> moderngl.Context:
    settings: dict[str, Any] = {"backend": "egl"}
    try:
        return moderngl.create_context(require=330, standalone=True, **settings)
    except Exception as error:
        raise CameraError(
            "no OpenGL 3.3 through EGL on this machine. On Debian or Ubuntu install it with: "
            f"apt-get install libegl1 libgl1-mesa-dri   (reported: {error})"
        ) from error


def _check_scene(scene: Scene) -> None:
    if scene.weather not in WEATHERS:
        raise ValueError(f"unknown weather {scene.weather!r}: use one of {', '.join(WEATHERS)}")
    for index, lane in enumerate(scene.lanes):
        count = len(lane.points_xy_m)
        if count < 2 or lane.points_xy_m.shape != (count, 2) or lane.heading_rad.shape != (count,):
            raise ValueError(
                f"lane {index}: points {lane.points_xy_m.shape} and headings "
                f"{lane.heading_rad.shape}: need (N, 2) and (N,) with N >= 2"
            )
    if np.shape(scene.hills.waves) != (3, 4):
        raise ValueError(f"hills.waves has shape {np.shape(scene.hills.waves)}: need (3, 4)")


def _check_view(view: View) -> None:
    place = (view.x_m, view.y_m, view.yaw_rad, view.pitch_rad)
    if not np.all(np.isfinite(place)):
        raise ValueError(f"view x, y, yaw, pitch = {place}: all must be finite numbers")
    actors = view.actors
    count = len(actors.pose)
    shapes = (actors.pose.shape, actors.body.shape, actors.colour_rgb.shape, actors.braking.shape)
    if shapes != ((count, 3), (count,), (count, 3), (count,)):
        raise ValueError(
            f"actors' pose, body, colour, braking have shapes {shapes}: "
            "need (N, 3), (N,), (N, 3), (N,)"
        )
    if actors.size_m is not None and actors.size_m.shape != (count, 3):
        raise ValueError(f"actors' size has shape {actors.size_m.shape}: need (N, 3) or None")
    if count and not (actors.body.min() >= 0 and actors.body.max() < len(Body)):
        raise ValueError(f"actors' bodies {np.unique(actors.body)}: use {list(map(int, Body))}")
