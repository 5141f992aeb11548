"""Draws what stands beside the road: trees with their shadows, buildings, reflector posts."""

from __future__ import annotations

import moderngl
import numpy as np

from simulator.truth.scene import Floats, Hills, PixelClass, Scenery

from .layer import Frame, Gpu, Instances, Variant

TREE_REACH_M = 260.0
SHADOW_REACH_M = 90.0
POST_REACH_M = 110.0
_TREE_VERTEX = """
in vec2 corner; in vec4 root; in float kind;  // root: x, y, z, height
out vec2 texel; out vec3 light; out float clear;
void main() {
    vec2 aside = vec2(-forward.y, forward.x) / length(forward.xy);
    vec3 p = vec3(root.xy - aside * corner.x * root.w * 0.34, root.z + corner.y * root.w);
    texel = vec2((kind + 0.5 + corner.x * 0.496) * 0.25, corner.y);
    float lit_side = 1.0 - 0.35 * corner.x * dot(aside, sun_direction.xy);
    light = ambient.rgb + sun_colour.rgb * (0.35 + 0.45 * corner.y) * lit_side + headlights(p);
    clear = clearness(p);
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_TREE = """
in vec2 texel; in vec3 light; in float clear;
uniform sampler2D trees;
void main() {
    vec4 leaf = texture(trees, texel);
    if (leaf.a < 0.45) discard;
    EMIT(mix(haze.rgb, leaf.rgb * light, clear), 1.0);
}
"""

_SHADOW_VERTEX = """
in vec2 corner; in vec4 root; in float kind;
out vec2 q; out float strength;
void main() {
    vec2 away = -normalize(sun_direction.xy);
    float lean = min(length(sun_direction.xy) / max(sun_direction.z, 0.12), 3.0);
    vec2 xy = root.xy + away * (corner.x * 0.5 + 0.45) * root.w * (0.35 + 0.65 * lean)
        + vec2(-away.y, away.x) * corner.y * 0.33 * root.w;
    vec3 p = vec3(xy, height(xy) + 0.02);
    q = corner; strength = 0.42 * min(sun_colour.r, 1.0) * clearness(p);
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_SHADOW = """
in vec2 q; in float strength;
void main() { EMIT(vec3(0.02), strength * (1.0 - smoothstep(0.35, 1.0, length(q)))); }
"""

_BUILDING_VERTEX = """
in vec3 corner; in vec3 face; in vec4 place; in vec4 form;  // place: x, y, z, yaw; form: size, tint
out vec3 light; out float clear; out vec2 wall; out vec3 tint; out float roof; out vec3 where;
void main() {
    float c = cos(place.w), s = sin(place.w);
    mat2 turn = mat2(c, s, -s, c);
    vec3 local = vec3(corner.xy * form.xy * 0.5, (corner.z * 0.5 + 0.5) * (form.z + 1.0));
    where = vec3(place.xy + turn * local.xy, place.z - 1.0 + local.z);
    vec3 n = vec3(turn * face.xy, face.z);
    light = daylight(n); clear = clearness(where); roof = face.z;
    // Whole windows on every wall: the grid starts at its corner.
    float length_m = abs(face.x) > 0.5 ? form.y : form.x;
    float along = abs(face.x) > 0.5 ? corner.y : corner.x;
    wall = vec2((along * 0.5 + 0.5) * max(floor(length_m / 3.0), 1.0), (local.z - 1.0) / 3.2);
    tint = form.w < 0.33 ? vec3(0.62, 0.55, 0.46)
        : (form.w < 0.6 ? vec3(0.50, 0.28, 0.22) : vec3(0.70, 0.70, 0.68));
    tint *= 0.85 + 0.3 * fract(form.w * 7.0);
    gl_Position = world_to_clip * vec4(where, 1.0);
}
"""

_BUILDING = """
in vec3 light; in float clear; in vec2 wall; in vec3 tint; in float roof; in vec3 where;
void main() {
    vec2 cell = fract(wall), footprint = fwidth(wall);
    vec2 edge = smoothstep(vec2(0.28, 0.30) - footprint, vec2(0.28, 0.30) + footprint, cell)
        - smoothstep(vec2(0.72, 0.78) - footprint, vec2(0.72, 0.78) + footprint, cell);
    float far = clamp(2.5 * max(footprint.x, footprint.y) - 0.5, 0.0, 1.0);
    float window = roof > 0.5 ? 0.0 : mix(clamp(edge.x, 0.0, 1.0) * clamp(edge.y, 0.0, 1.0), 0.21, far);
    vec3 colour = mix(roof > 0.5 ? vec3(0.35, 0.30, 0.28) : tint, vec3(0.13, 0.16, 0.20), window);
#ifdef NIGHT
    float lit = step(0.55, fract(sin(dot(floor(wall), vec2(12.9, 78.2)) + 9.0 * tint.r) * 43758.5));
    colour = colour * (light + headlights(where)) + window * lit * vec3(0.56, 0.45, 0.25);
#else
    colour *= light;
#endif
    EMIT(mix(haze.rgb, colour, clear), 1.0);
}
"""

_POST_VERTEX = """
in vec2 corner; in vec3 root;
out float rise; out vec3 light; out float clear;
void main() {
    vec2 aside = vec2(forward.y, -forward.x) / length(forward.xy);
    float width = max(0.06, 0.0024 * length(root - eye.xyz));  // at least a pixel
    vec3 p = vec3(root.xy + aside * corner.x * width, root.z + (0.5 + 0.5 * corner.y) * 1.0);
    rise = 0.5 + 0.5 * corner.y;
    light = ambient.rgb + 0.6 * sun_colour.rgb + 1.6 * headlights(p);
    clear = clearness(p);
    gl_Position = world_to_clip * vec4(p, 1.0);
}
"""

_POST = """
in float rise; in vec3 light; in float clear;
void main() {
    bool band = rise > 0.66 && rise < 0.90, glass = rise > 0.71 && rise < 0.85;
    vec3 colour = glass ? vec3(1.1, 0.45, 0.08) : (band ? vec3(0.05) : vec3(0.82));
    EMIT(mix(haze.rgb, colour * light, clear), 1.0);
}
"""

_UPRIGHT = np.array([-1.0, 0.0, 1.0, 0.0, -1.0, 1.0, 1.0, 1.0])
_QUAD = np.array([-1.0, -1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0])


def _cube() -> Floats:
    """(30, 6): position in -1..1 and normal; no floor."""
    rows = []
    for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1), (2, 1)):
        normal = np.zeros(3)
        normal[axis] = sign
        u, v = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        for a, b in ((-1, -1), (1, -1), (1, 1), (-1, -1), (1, 1), (-1, 1)):
            rows.append(np.concatenate([normal + a * u + b * v, normal]))
    return np.array(rows)


class Roadside:
    """Trees, buildings and posts of a scene."""

    def __init__(self, gpu: Gpu) -> None:
        tree_row = ("4f 1f", "root", "kind")
        upright, quad = (_UPRIGHT, "2f", "corner"), (_QUAD, "2f", "corner")
        self._trees = Instances(
            gpu, (_TREE_VERTEX, _TREE), upright, tree_row, PixelClass.VEGETATION
        )
        self._shadows = Instances(gpu, (_SHADOW_VERTEX, _SHADOW), quad, tree_row, PixelClass.GROUND)
        self._posts = Instances(gpu, (_POST_VERTEX, _POST), quad, ("3f", "root"), PixelClass.POST)
        self._buildings = Instances(
            gpu,
            (_BUILDING_VERTEX, _BUILDING),
            (_cube(), "3f 3f", "corner", "face"),
            ("4f 4f", "place", "form"),
            PixelClass.BUILDING,
            moderngl.TRIANGLES,
        )
        self.load(Scenery(), Hills())

    def load(self, scenery: Scenery, hills: Hills) -> None:
        """Replace the things of the previous scene."""

        def ground(rows: Floats) -> Floats:
            return hills.height_m(rows[:, 0], rows[:, 1])

        trees, buildings, posts = scenery.trees, scenery.buildings, scenery.posts
        self._tree_table = np.column_stack([trees[:, :2], ground(trees) - 0.1, trees[:, 2:4]])
        self._building_table = np.column_stack(
            [buildings[:, :2], ground(buildings), buildings[:, 2:7]]
        )
        self._building_radius_m = np.hypot(buildings[:, 3], buildings[:, 4]) / 2
        self._post_table = np.column_stack([posts[:, :2], ground(posts)])

    def prepare(self, frame: Frame) -> None:
        """Choose what is in view, nearest first, which spares hidden pixels."""

        def nearest(
            table: Floats, radius_m: Floats | float, reach_m: float
        ) -> tuple[Floats, Floats]:
            chosen, ahead = frame.nearest(table[:, :2], radius_m, reach_m)
            return table[chosen], ahead

        self._buildings.put(nearest(self._building_table, self._building_radius_m, TREE_REACH_M)[0])
        self._posts.put(nearest(self._post_table, 0.5, POST_REACH_M)[0])
        trees, ahead = nearest(self._tree_table, 4.0, TREE_REACH_M)
        self._trees.put(trees)
        self._shadows.put(trees[ahead < SHADOW_REACH_M])

    def draw(self, variant: Variant) -> None:
        """Draw all opaque things."""
        for part in (self._buildings, self._posts, self._trees):
            part.draw(variant)

    def draw_shadows(self, variant: Variant) -> None:
        """Darken the ground beside trees; the caller sets blending and polygon offset."""
        self._shadows.draw(variant)

    def release(self) -> None:
        """Free all GPU objects."""
        for part in (self._trees, self._shadows, self._buildings, self._posts):
            part.release()
