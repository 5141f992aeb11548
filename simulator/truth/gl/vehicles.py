"""Draws other vehicles, their soft shadows, and the glow of their lights."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from simulator.truth.scene import BODY_SIZE_M, Actors, Body, Hills, PixelClass

from .bodies import lamps_m, meshes
from .layer import Frame, Layer, Variant, floats

REACH_M = 260.0
CAPACITY = 256
"""Vehicles drawn at most; the world keeps far fewer alive."""

_BODY_VERTEX = """
in vec3 corner; in vec3 face; in vec3 base; in float material;
in vec4 pose; in vec4 finish;  // pose: x, y, z, yaw; finish: rgb, braking
out vec3 shade;
void main() {
    float c = cos(pose.w), s = sin(pose.w);
    mat2 turn = mat2(c, s, -s, c);
    vec3 tilt = ground_normal(pose.xy);
    vec2 xy = turn * corner.xy;
    vec3 p = vec3(pose.xy + xy, pose.z + corner.z - dot(tilt.xy, xy) / tilt.z);
    vec3 n = vec3(turn * face.xy, face.z), ray = normalize(p - eye.xyz);
    bool painted = material > 0.5 && material < 1.5, glass = material > 1.5 && material < 2.5;
    vec3 colour = painted ? base * finish.rgb : base;
    // The underside of the world is dark: faces near the road lose sky light.
    float open = 0.62 + 0.38 * smoothstep(0.1, 0.9, corner.z);
    vec3 light = daylight(n) * open + headlights(p);
    float facing = max(-dot(ray, n), 0.0);
    vec3 mirrored = reflect(ray, n);
    float gloss = (0.04 + 0.5 * pow(1.0 - facing, 4.0)) * (glass ? 1.4 : (painted ? 0.8 : 0.2));
    colour = mix(colour * light, sky_gradient(mirrored.z) * (mirrored.z > 0.0 ? 1.0 : 0.3), gloss);
    if (glass || painted)
        colour += sun_colour.rgb * 0.35 * pow(max(dot(mirrored, sun_direction.xyz), 0.0), 30.0);
#ifdef NIGHT
    const float dark = 1.0;
#else
    const float dark = 0.0;
#endif
    if (material > 4.5) colour = finish.a > 0.5 ? vec3(1.0, 0.14, 0.08) : 0.4 * colour;
    else if (material > 3.5) colour = mix(colour, vec3(1.0, 0.98, 0.9), 0.25 + 0.75 * dark);
    else if (material > 2.5)
        colour = finish.a > 0.5 ? vec3(1.0, 0.16, 0.10) : mix(0.62 * colour, vec3(0.55, 0.03, 0.02), dark);
    shade = mix(haze.rgb, colour, clearness(p));
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_BODY = """
in vec3 shade;
void main() { EMIT(shade, 1.0); }
"""

_SHADOW_VERTEX = """
in vec2 corner; in vec4 pose; in vec3 extent;  // pose: x, y, unused, yaw; extent: half axes, strength
out vec2 q; out float strength;
void main() {
    float c = cos(pose.w), s = sin(pose.w);
    vec2 xy = pose.xy + mat2(c, s, -s, c) * (corner * extent.xy);
    vec3 p = vec3(xy, height(xy) + 0.02);
    q = corner; strength = extent.z * clearness(p);
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_SHADOW = """
in vec2 q; in float strength;
void main() {
    float r = length(max(abs(q) - vec2(0.45), 0.0));
    EMIT(vec3(0.02), strength * (1.0 - smoothstep(0.0, 0.52, r)));
}
"""

_GLOW_VERTEX = """
in vec2 corner; in vec4 lamp; in vec3 tint;  // lamp: x, y, z, radius
out vec2 q; out vec3 colour;
void main() {
    vec3 p = lamp.xyz + lamp.w * (corner.x * right.xyz + corner.y * up.xyz);
    p += normalize(eye.xyz - lamp.xyz) * 0.3;
    q = corner; colour = tint * sqrt(clearness(p));
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_GLOW = """
in vec2 q; in vec3 colour;
void main() {
    float fall = max(1.0 - length(q), 0.0);
    EMIT(colour * fall * fall, 1.0);
}
"""

_QUAD = np.array([-1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0])

BRAKE_GLOW, TAIL_GLOW, HEAD_GLOW = (1.10, 0.24, 0.12), (0.30, 0.03, 0.02), (0.75, 0.72, 0.62)


class Vehicles:
    """All actors of a view."""

    def __init__(self, context: moderngl.Context) -> None:
        def instanced(rows: int, fields: int) -> moderngl.Buffer:
            return context.buffer(reserve=rows * fields * 4, dynamic=True)

        self._body_instances = {body: instanced(CAPACITY, 8) for body in Body}
        self._bodies = {
            body: self._body(context, body, self._body_instances[body]) for body in Body
        }
        self._shadow_instances = instanced(CAPACITY, 7)
        self._glow_instances = instanced(4 * CAPACITY, 7)
        self._shadows = self._sprites(context, _SHADOW_VERTEX, _SHADOW, self._shadow_instances,
                                      "4f 3f/i", "pose", "extent")  # fmt: skip
        self._glow = self._sprites(context, _GLOW_VERTEX, _GLOW, self._glow_instances,
                                   "4f 3f/i", "lamp", "tint")  # fmt: skip
        self._shadow_count = self._glow_count = 0

    @staticmethod
    def _body(context: moderngl.Context, body: Body, instances: moderngl.Buffer) -> Layer:
        vertices, index = meshes()[body]
        names = ("corner", "face", "base", "material")
        content = [
            (context.buffer(floats(vertices)), "3f 3f 3f 1f", *names),
            (instances, "4f 4f/i", "pose", "finish"),
        ]
        triangles = context.buffer(index.tobytes())
        return Layer(context, _BODY_VERTEX, _BODY, content, PixelClass.VEHICLE, index=triangles)

    @staticmethod
    def _sprites(
        context: moderngl.Context, vertex: str, fragment: str, instances: moderngl.Buffer,
        formats: str, *names: str,
    ) -> Layer:  # fmt: skip
        quad = context.buffer(floats(_QUAD))
        content = [(quad, "2f", "corner"), (instances, formats, *names)]
        return Layer(
            context, vertex, fragment, content, PixelClass.VEHICLE, moderngl.TRIANGLE_STRIP
        )

    def draw(self, frame: Frame, variant: Variant, actors: Actors, hills: Hills) -> None:
        """Draw bodies now and prepare the shadows and glow of the same frame."""
        seen, ahead = frame.visible(actors.pose[:, :2], 6.0, REACH_M)
        chosen = np.nonzero(seen)[0]
        chosen = chosen[np.argsort(ahead[chosen], kind="stable")][:CAPACITY]
        pose, body = actors.pose[chosen], actors.body[chosen]
        braking = actors.braking[chosen]
        ground = hills.height_m(pose[:, 0], pose[:, 1])
        placed = np.column_stack([pose[:, :2], ground, pose[:, 2]])
        finish = np.column_stack([actors.colour_rgb[chosen], braking])
        rows = np.column_stack([placed, finish])
        for kind, layer in self._bodies.items():
            mine = rows[body == kind]
            if len(mine):
                self._body_instances[kind].write(floats(mine))
                layer.draw(variant, instances=len(mine))
        if "CLASSES" not in variant:
            self._prepare_shadows(placed, body, 0.35 if "NIGHT" in variant else 0.72)
            self._prepare_glow(frame, placed, body, braking, "NIGHT" in variant)

    def draw_shadows(self, variant: Variant) -> None:
        """Darken the ground under the vehicles of the last `draw`."""
        self._shadows.draw(variant, instances=self._shadow_count)

    def draw_glow(self, variant: Variant) -> None:
        """Add light around lamps that shine; the caller sets additive blending."""
        self._glow.draw(variant, instances=self._glow_count)

    def _prepare_shadows(
        self, placed: NDArray[np.float64], body: NDArray[np.int64], strength: float
    ) -> None:
        self._shadow_count = len(placed)
        if len(placed):
            half = np.array([BODY_SIZE_M[kind][:2] for kind in Body]) / 2 + 0.45
            rows = np.column_stack([placed, half[body], np.full(len(body), strength)])
            self._shadow_instances.write(floats(rows))

    def _prepare_glow(
        self,
        frame: Frame,
        placed: NDArray[np.float64],
        body: NDArray[np.int64],
        braking: NDArray[np.bool_],
        night: bool,
    ) -> None:
        rows = []
        for (x, y, z, yaw), kind, brakes in zip(placed, body, braking, strict=True):
            towards = np.cos(yaw) * (frame.eye_m[0] - x) + np.sin(yaw) * (frame.eye_m[1] - y)
            range_m = max(float(np.hypot(frame.eye_m[0] - x, frame.eye_m[1] - y)), 1.0)
            tail, head = lamps_m(Body(kind))
            if towards < -1.0 and (brakes or night):
                lamp, tint = tail, BRAKE_GLOW if brakes else TAIL_GLOW
            elif towards > 1.0 and night:
                lamp, tint = head, HEAD_GLOW
            else:
                continue
            # Never much smaller than a pixel, so that a far brake light still tells.
            radius = max(
                0.6 if brakes or lamp is head else 0.3, (0.014 if brakes else 0.009) * range_m
            )
            strength = abs(towards) / range_m
            for side in (1.0, -1.0):
                across = side * lamp[1]
                rows.append(
                    [
                        x + np.cos(yaw) * lamp[0] - np.sin(yaw) * across,
                        y + np.sin(yaw) * lamp[0] + np.cos(yaw) * across,
                        z + lamp[2], radius, *(strength * channel for channel in tint),
                    ]
                )  # fmt: skip
        self._glow_count = len(rows)
        if rows:
            self._glow_instances.write(floats(np.array(rows)))

    def release(self) -> None:
        """Free all GPU objects."""
        for layer in (*self._bodies.values(), self._shadows, self._glow):
            layer.release()
