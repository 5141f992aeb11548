"""Draws what is always there: the ground around the camera, far hills on the horizon, and the sky."""

from __future__ import annotations

import moderngl
import numpy as np

from simulator.truth.scene import PixelClass

from .layer import Frame, Gpu, Layer, Variant

RING_STEPS = 360
"""Vertices of the far hills around the horizon."""

_GROUND_VERTEX = """
in vec2 polar;
out vec2 ground; out vec3 light; out float clear;
void main() {
    vec2 ahead = normalize(forward.xy), left = vec2(-ahead.y, ahead.x);
    vec2 xy = eye.xy + ahead * (polar.x - 4.0) + left * polar.y;
    // Sinks with distance: the coarse fan must not cut through the finer road on a hill.
    float range = length(polar);
    vec3 p = vec3(xy, height(xy) - 0.06 - 0.0014 * range);
    ground = xy + offset.xy;
    light = daylight(ground_normal(xy));
    clear = clearness(p);
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_GROUND = """
in vec2 ground; in vec3 light; in float clear;
uniform sampler2D noise;
void main() {
    vec4 broad = texture(noise, ground / 90.0), fine = texture(noise, ground / 7.0);
    float dry = clamp(smoothstep(0.3, 0.75, broad.r) + 0.5 * (grass.a - 0.5), 0.0, 1.0);
    vec3 colour = mix(vec3(0.20, 0.31, 0.10), vec3(0.38, 0.40, 0.17), dry);
    colour = mix(colour, vec3(0.42, 0.36, 0.24), smoothstep(0.66, 0.80, broad.b));
    colour *= grass.rgb * (0.70 + 0.35 * fine.r + 0.35 * fine.g);
#ifdef NIGHT
    vec2 xy = ground - offset.xy;
    colour *= light + headlights(vec3(xy, height(xy)));
#else
    colour *= light;
#endif
    EMIT(mix(haze.rgb, colour, clear), 1.0);
}
"""

_HILLS_VERTEX = """
in vec4 ring;  // direction x, y; layer 0 far, 1 near; 1 = crest, 0 = foot
uniform sampler2D noise;
out vec3 colour;
void main() {
    vec2 place = ring.xy * mix(0.11, 0.17, ring.z) + offset.zw + 0.4 * ring.z;
    float rough = textureLod(noise, place, 0.0).r;
    float crest = mix(0.115 * rough - 0.012, 0.07 * rough - 0.012, ring.z);
    vec3 ray = vec3(ring.xy, ring.w > 0.5 ? crest : -0.05);
    vec3 far_hill = mix(haze.rgb, vec3(0.30, 0.40, 0.45) * (ambient.rgb + 0.4 * sun_colour.rgb), 0.35);
    vec3 near_hill = mix(haze.rgb, vec3(0.20, 0.30, 0.16) * (ambient.rgb + 0.5 * sun_colour.rgb), 0.55);
    float veil = exp(-110.0 * haze.a);
    colour = mix(haze.rgb, mix(far_hill, near_hill, ring.z), veil * (0.55 + 0.45 * ring.w));
    gl_Position = (world_to_clip * vec4(ray, 0.0)).xyww * vec4(1.0, 1.0, 0.99999 - 0.000002 * ring.z, 1.0);
}
"""

_HILLS = """
in vec3 colour;
void main() { EMIT(colour, 1.0); }
"""

_SKY_VERTEX = """
in vec2 corner;
out vec3 ray;
const vec2 half_angles = HALF_ANGLES;
void main() {
    ray = forward.xyz + corner.x * half_angles.x * right.xyz - corner.y * half_angles.y * up.xyz;
    gl_Position = vec4(corner, 0.999999, 1.0);
}
"""

_SKY = """
in vec3 ray;
uniform sampler2D clouds;
void main() {
    vec3 v = normalize(ray);
    float elevation = max(v.z, 0.0);
    // A cloud deck seen from below: no angle of azimuth, hence no seam.
    vec2 deck = v.xy / (elevation + 0.16) + 7.0 * offset.zw;
    float puffs = texture(clouds, 0.07 * deck).r, cover = puffs;
    cover = smoothstep(0.62 - 0.35 * zenith.a, 0.82 - 0.20 * zenith.a, cover)
        * smoothstep(0.0, 0.16, elevation);
    float facing = max(dot(v, sun_direction.xyz), 0.0);
    float f4 = facing * facing * facing * facing, f12 = f4 * f4 * f4;
    float disc = f12 * f12;  // on to the 384th power by squaring
    disc *= disc; disc *= disc; disc *= disc; disc *= disc;
    vec3 cloud = mix(haze.rgb, vec3(1.0), 0.55) * (sun_colour.rgb + ambient.rgb);
    cloud = mix(haze.rgb, cloud * (0.78 - 0.10 * cover - 0.22 * puffs), exp(-30.0 * haze.a));
    vec3 colour = mix(sky_gradient(elevation), cloud, 0.85 * cover);
    colour += sun_colour.rgb * (1.5 * disc + 0.18 * f12) * (1.0 - 0.8 * cover);
    EMIT(colour, 1.0);
}
"""


def _ground_fan() -> tuple[np.ndarray, np.ndarray]:
    """Vertices (rings * columns, 2) ahead and to the left of the camera, and triangle indices."""
    near = np.array([0.0, 2, 4, 6, 8, 11, 15, 20, 26, 33, 41, 50, 60, 71, 83, 96])
    rings = np.concatenate([near, 108.0 * 1.11 ** np.arange(14), [520.0, 700.0, 1000.0, 1400.0]])
    angles = np.radians(np.linspace(-50.0, 50.0, 12))
    fan = np.stack(
        [np.outer(rings, np.cos(angles)), np.outer(rings, np.sin(angles))], axis=2
    ).reshape(-1, 2)
    columns = len(angles)
    corner = (np.arange(len(rings) - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    quads = corner + np.array([0, columns, 1, 1, columns, columns + 1])
    return fan, quads.astype(np.int32)


def _hill_ring() -> np.ndarray:
    """(2, steps, 2, 4): for the far and the near layer a triangle strip twice around the horizon,

    so that any view is one stretch of it.
    """
    angles = np.arange(2 * RING_STEPS + 1) * (2 * np.pi / RING_STEPS)
    ring = np.zeros((2, len(angles), 2, 4))
    ring[..., 0], ring[..., 1] = np.cos(angles)[:, None], np.sin(angles)[:, None]
    ring[1, ..., 2] = 1.0
    ring[..., 1, 3] = 1.0
    return ring


class Backdrop:
    """Ground, horizon and sky; nothing here depends on the scene but its look."""

    def __init__(self, gpu: Gpu, half_angles: tuple[float, float]) -> None:
        fan, index = _ground_fan()
        self._ground = Layer(
            gpu,
            (_GROUND_VERTEX, _GROUND),
            [(gpu.buffer(fan), "2f", "polar")],
            PixelClass.GROUND,
            index=gpu.buffer(index),
        )
        self._hills = Layer(
            gpu,
            (_HILLS_VERTEX, _HILLS),
            [(gpu.buffer(_hill_ring()), "4f", "ring")],
            PixelClass.GROUND,
            moderngl.TRIANGLE_STRIP,
        )
        tangents = f"vec2({half_angles[0]}, {half_angles[1]})"
        corners = np.array([-1.0, -1.0, 3.0, -1.0, -1.0, 3.0])
        self._sky = Layer(
            gpu,
            (_SKY_VERTEX.replace("HALF_ANGLES", tangents), _SKY),
            [(gpu.buffer(corners), "2f", "corner")],
            PixelClass.SKY,
        )

    def draw_ground(self, variant: Variant) -> None:
        """Grass, to be drawn after the asphalt that hides much of it."""
        self._ground.draw(variant)

    def draw_far(self, frame: Frame, variant: Variant) -> None:
        """Hills and sky, last of all opaque things."""
        heading = np.arctan2(frame.forward[1], frame.forward[0]) / (2 * np.pi)
        half_view = np.arctan(frame.half_width) / (2 * np.pi)
        first = int(np.floor((heading - half_view) % 1.0 * RING_STEPS))
        steps = int(np.ceil(2 * half_view * RING_STEPS)) + 2
        for layer in (1, 0):  # the near one hides much of the far one
            start = layer * (2 * RING_STEPS + 1) + first
            self._hills.draw(variant, first=2 * start, vertices=2 * steps)
        if "CLASSES" not in variant:
            self._sky.draw(variant)

    def release(self) -> None:
        """Free all GPU objects."""
        for part in (self._ground, self._hills, self._sky):
            part.release()
