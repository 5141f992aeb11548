"""Draws other vehicles, their soft shadows, and the glow of their lights."""

from __future__ import annotations

import moderngl
import numpy as np
from numpy.typing import NDArray

from simulator.truth.scene import BODY_SIZE_M, Actors, Body, Floats, Hills, PixelClass

from .bodies import lamps_m, meshes
from .layer import Frame, Gpu, Instances, Variant

REACH_M = 260.0
FAR_MESH_FROM_M = 45.0

_BODY_VERTEX = """
in vec3 corner; in vec3 face; in vec3 base; in float material;
in vec4 pose; in vec4 finish; in vec3 scale;  // pose: x, y, z, yaw; finish: rgb, braking
out vec3 shade;
void main() {
    float c = cos(pose.w), s = sin(pose.w);
    mat2 turn = mat2(c, s, -s, c);
    vec3 tilt = ground_normal(pose.xy);
    vec2 xy = turn * (corner.xy * scale.xy);
    vec3 p = vec3(pose.xy + xy, pose.z + corner.z * scale.z - dot(tilt.xy, xy) / tilt.z);
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

    def __init__(self, gpu: Gpu) -> None:
        names = ("corner", "face", "base", "material")
        self._bodies = {
            (body, far): Instances(
                gpu,
                (_BODY_VERTEX, _BODY),
                (mesh.vertices, "3f 3f 3f 1f", *names),
                ("4f 4f 3f", "pose", "finish", "scale"),
                PixelClass.VEHICLE,
                moderngl.TRIANGLES,
                mesh.far_index if far else mesh.near_index,
            )
            for body, mesh in meshes().items()
            for far in (False, True)
        }
        quad = (_QUAD, "2f", "corner")
        self._shadows = Instances(
            gpu,
            (_SHADOW_VERTEX, _SHADOW),
            quad,
            ("4f 3f", "pose", "extent"),
            PixelClass.VEHICLE,
        )
        self._glow = Instances(
            gpu, (_GLOW_VERTEX, _GLOW), quad, ("4f 3f", "lamp", "tint"), PixelClass.VEHICLE
        )

    def prepare(self, frame: Frame, actors: Actors, hills: Hills, night: bool) -> None:
        """Choose who is in view and lay out bodies, shadows and glow."""
        chosen, ahead = frame.nearest(actors.pose[:, :2], 6.0, REACH_M)
        pose, body, braking = actors.pose[chosen], actors.body[chosen], actors.braking[chosen]
        ground = hills.height_m(pose[:, 0], pose[:, 1])
        placed = np.column_stack([pose[:, :2], ground, pose[:, 2]])
        usual = np.array([BODY_SIZE_M[kind] for kind in Body])[body]
        size = usual if actors.size_m is None else actors.size_m[chosen]
        scale = size / usual
        rows = np.column_stack([placed, actors.colour_rgb[chosen], braking, scale])
        for (kind, far), instances in self._bodies.items():
            instances.put(rows[(body == kind) & ((ahead > FAR_MESH_FROM_M) == far)])
        strength = np.full(len(body), 0.35 if night else 0.72)
        self._shadows.put(np.column_stack([placed, size[:, :2] / 2 + 0.45, strength]))
        self._glow.put(_glow_rows(frame, placed, body, scale, braking, night))

    def draw(self, variant: Variant) -> None:
        """Draw the bodies; the caller may cull back faces."""
        for instances in self._bodies.values():
            instances.draw(variant)

    def draw_shadows(self, variant: Variant) -> None:
        """Darken the ground; the caller sets blending and polygon offset."""
        self._shadows.draw(variant)

    def draw_glow(self, variant: Variant) -> None:
        """Add light around lamps that shine; the caller sets additive blending."""
        self._glow.draw(variant)

    def release(self) -> None:
        """Free all GPU objects."""
        for part in (*self._bodies.values(), self._shadows, self._glow):
            part.release()


def _glow_rows(
    frame: Frame, placed: Floats, body: NDArray[np.int64], scale: Floats,
    braking: NDArray[np.bool_], night: bool,
) -> Floats:  # fmt: skip
    """(lamps, 7): place, radius and colour of each lamp that shines towards the camera."""
    rows: list[list[float]] = []
    for (x, y, z, yaw), kind, stretch, brakes in zip(placed, body, scale, braking, strict=True):
        if not (brakes or night):
            continue
        cos_yaw, sin_yaw = np.cos(yaw), np.sin(yaw)
        from_eye = frame.eye_m[:2] - (x, y)
        towards = cos_yaw * from_eye[0] + sin_yaw * from_eye[1]
        range_m = max(float(np.hypot(*from_eye)), 1.0)
        tail, head = lamps_m(Body(kind))
        if towards < -1.0:
            (along, spacing, rise), tint = tail, BRAKE_GLOW if brakes else TAIL_GLOW
            least_m, growth = (0.6, 0.014) if brakes else (0.3, 0.009)
        elif towards > 1.0 and night:
            (along, spacing, rise), tint = head, HEAD_GLOW
            least_m, growth = 0.6, 0.009
        else:
            continue
        along, spacing, rise = np.array((along, spacing, rise)) * stretch
        # Never much smaller than a pixel, so that a far brake light still tells.
        radius_m = max(least_m, growth * range_m)
        colour = [abs(towards) / range_m * channel for channel in tint]
        for across in (spacing, -spacing):
            lamp_x = x + cos_yaw * along - sin_yaw * across
            lamp_y = y + sin_yaw * along + cos_yaw * across
            rows.append([lamp_x, lamp_y, z + rise, radius_m, *colour])
    return np.array(rows).reshape(-1, 7)
