"""Draws the road: asphalt, shoulders, wheel tracks and painted lines.

Overlapping lanes never fight for a pixel: the asphalt's colour depends on the place alone, and all
that belongs to one lane is blended over it without writing depth.
"""

from __future__ import annotations

import moderngl
import numpy as np

from simulator.truth.scene import LaneStrip, PixelClass

from . import strips
from .layer import Frame, Gpu, Layer, Variant

REACH_M = 320.0
PAINT_REACH_M = 220.0
TRACK_REACH_M = 50.0
COARSE_FROM_M = 50.0

_SURFACE_VERTEX = """
in vec3 place;
out vec2 ground; out vec3 light; out float clear; out float across;
void main() {
    vec3 p = vec3(place.xy, height(place.xy) + LIFT_M);
    ground = place.xy + offset.xy; across = place.z;
    light = daylight(ground_normal(place.xy));
    clear = clearness(p);
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_PER_PIXEL = """
in vec2 ground; in vec3 light; in float clear; in float across;
uniform sampler2D noise;
vec3 here() { vec2 p = ground - offset.xy; return vec3(p, height(p)); }
#ifdef NIGHT
vec3 shine() { return light + headlights(here()); }
#else
vec3 shine() { return light; }
#endif
"""

_ASPHALT = (
    _PER_PIXEL
    + """
void main() {
    vec4 broad = texture(noise, ground / 37.0), fine = texture(noise, ground / 2.3);
    vec3 colour = asphalt.rgb * (0.80 + 0.24 * broad.r + 0.24 * fine.a);
    colour *= 1.0 - 0.28 * asphalt.a * smoothstep(0.66, 0.74, broad.b) * smoothstep(0.3, 0.5, broad.g);
    colour *= shine();
#ifdef WET
    vec3 ray = here() - eye.xyz;
    float grazing = 1.0 + ray.z / length(ray);
    float puddle = smoothstep(0.52, 0.62, broad.g * 0.75 + fine.g * 0.25);
    float mirror = (0.08 + 0.85 * pow(grazing, 4.0)) * (0.40 + 0.60 * puddle);
    colour = mix(colour * mix(0.62, 0.42, puddle), sky_gradient(1.0 - grazing), mirror);
#endif
    EMIT(mix(haze.rgb, colour, clear), 1.0);
}
"""
)

_SHOULDER = (
    _PER_PIXEL
    + """
void main() {
    vec4 broad = texture(noise, ground / 37.0), fine = texture(noise, ground / 2.3);
    vec3 colour = vec3(0.36, 0.33, 0.27) * (0.6 + 0.4 * fine.a + 0.3 * broad.r) * shine();
    float ragged = across + 0.6 * (fine.r - 0.5);
    float alpha = 1.0 - smoothstep(0.8 + 1.4 * (broad.b - 0.5), 1.9, ragged);
    EMIT(mix(haze.rgb, colour, clear), alpha);
}
"""
)

_TRACKS = """
in vec2 ground; in vec3 light; in float clear; in float across;
void main() {
    float q = 1.0 - across * across;
    EMIT(vec3(0.02), 0.20 * q * q * clear);
}
"""

_LINE_VERTEX = """
in vec2 place; in vec2 side; in float arc; in float style;
out vec2 ground; out vec3 light; out float clear; out vec3 paint;
void main() {
    float range = length(place - eye.xy);
    // Wide enough for the paint, and for its soft edge where pixels cover much ground.
    float reach = (abs(style) > 2.5 && abs(style) < 3.5 ? 0.27 : 0.11) + 0.006 * range;
    vec2 xy = place + side * reach;
    vec3 p = vec3(xy, height(xy));
    paint = vec3(arc, reach * sign(style), abs(style));
    ground = xy + offset.xy;
    light = daylight(ground_normal(xy));
    clear = clearness(p);
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_LINES = """
in vec2 ground; in vec3 light; in float clear; in vec3 paint;
uniform sampler2D noise;
float stripe(float across, float width, float footprint) {
    return clamp((0.5 * width - abs(across)) / footprint + 0.5, 0.0, 1.0) * min(1.0, width / footprint);
}
float dash(float arc) {
    const float on = 3.0, period = 9.0;
    float footprint = fwidth(arc) / period, u = fract(arc / period), share = on / period;
    float sharp = smoothstep(-footprint, footprint, u)
        - smoothstep(share - footprint, share + footprint, u)
        + smoothstep(1.0 - footprint, 1.0 + footprint, u);
    return mix(clamp(sharp, 0.0, 1.0), share, clamp(2.0 * footprint - 0.5, 0.0, 1.0));
}
void main() {
    float footprint = max(fwidth(paint.y), 1e-4);
    bool dashed = paint.z < 1.5 || paint.z > 3.5, yellow = paint.z > 2.5, twin = yellow && !dashed;
    float across = twin ? abs(paint.y) - 0.14 : paint.y;
    float cover = stripe(across, twin ? 0.12 : 0.15, footprint);
    if (dashed) cover *= dash(paint.x);
    float worn = 0.78 + 0.22 * smoothstep(0.25, 0.55, texture(noise, ground / 2.3).g);
    vec3 colour = yellow ? vec3(0.82, 0.60, 0.10) : vec3(0.82);
#ifdef NIGHT
    vec2 xy = ground - offset.xy;
    colour *= light + 1.35 * headlights(vec3(xy, height(xy)));
#else
    colour *= light;
#endif
#ifdef WET
    worn *= 0.75;
#endif
#ifdef CLASSES
    worn = 1.0;
#endif
    EMIT(mix(haze.rgb, colour, clear), cover * worn);
}
"""


class _StripLayer:
    """A layer whose index buffer is filled with the visible chunks of every frame."""

    def __init__(
        self,
        gpu: Gpu,
        shaders: tuple[str, str],
        attributes: tuple[str, ...],
        pixel_class: PixelClass,
        reach_m: float,
    ) -> None:
        self._gpu, self._attributes, self._reach_m = gpu, attributes, reach_m
        self._layer = Layer(gpu, shaders, (), pixel_class)
        self._mesh = strips.join([], 1)
        self._index: moderngl.Buffer | None = None
        self._count = 0

    def load(self, mesh: strips.StripMesh) -> None:
        self._mesh, self._count = mesh, 0
        vertices = self._gpu.buffer(mesh.vertices)
        self._index = self._gpu.context.buffer(reserve=max(mesh.fine.nbytes, 4), dynamic=True)
        self._layer.replace([(vertices, *self._attributes)], self._index)

    def prepare(self, frame: Frame) -> None:
        mesh = self._mesh
        seen, ahead = frame.visible(mesh.centre_m, mesh.radius_m, self._reach_m)
        near = ahead - mesh.radius_m < COARSE_FROM_M
        chosen = np.concatenate([mesh.fine[seen & near].ravel(), mesh.coarse[seen & ~near].ravel()])
        self._count = chosen.size
        if self._index is not None and chosen.size:
            self._index.write(chosen.tobytes())

    def draw(self, variant: Variant) -> None:
        self._layer.draw(variant, vertices=self._count)

    def release(self) -> None:
        self._layer.release()


class Road:
    """All lanes of a scene."""

    def __init__(self, gpu: Gpu) -> None:
        def surface(
            fragment: str, pixel_class: PixelClass, reach_m: float, lift_m: float = 0.0
        ) -> _StripLayer:
            vertex = _SURFACE_VERTEX.replace("LIFT_M", str(lift_m))
            return _StripLayer(gpu, (vertex, fragment), ("3f", "place"), pixel_class, reach_m)

        self._asphalt = surface(_ASPHALT, PixelClass.ROAD, REACH_M)
        self._shoulders = surface(_SHOULDER, PixelClass.GROUND, PAINT_REACH_M, -0.02)
        self._tracks = surface(_TRACKS, PixelClass.ROAD, TRACK_REACH_M)
        attributes = ("2f 2f 1f 1f", "place", "side", "arc", "style")
        self._lines = _StripLayer(
            gpu, (_LINE_VERTEX, _LINES), attributes, PixelClass.LINE, PAINT_REACH_M
        )
        self._parts = (self._asphalt, self._shoulders, self._tracks, self._lines)

    def load(self, lanes: tuple[LaneStrip, ...]) -> None:
        """Replace the lanes of the previous scene."""
        self._asphalt.load(strips.asphalt(lanes))
        self._shoulders.load(strips.shoulders(lanes))
        self._tracks.load(strips.wheel_tracks(lanes))
        self._lines.load(strips.lines(lanes))

    def prepare(self, frame: Frame) -> None:
        """Choose the chunks in view."""
        for part in self._parts:
            part.prepare(frame)

    def draw_surface(self, variant: Variant) -> None:
        """Opaque asphalt."""
        self._asphalt.draw(variant)

    def draw_shoulders(self, variant: Variant) -> None:
        """Gravel blended over grass; it lies lower than asphalt and must not be offset."""
        self._shoulders.draw(variant)

    def draw_paint(self, variant: Variant) -> None:
        """What is blended over asphalt; the caller sets blending and polygon offset."""
        if "CLASSES" not in variant:
            self._tracks.draw(variant)
        self._lines.draw(variant)

    def release(self) -> None:
        """Free all GPU objects."""
        for part in self._parts:
            part.release()
