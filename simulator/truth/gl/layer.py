"""The drawing vocabulary all parts of the camera share: frame geometry, GLSL preamble, layers.

A layer is one kind of thing on screen. Its shader is compiled once per *variant* (night, wet road,
class mask), so that a plain day pays nothing for headlights or puddles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from simulator.truth.scene import PixelClass

Variant = frozenset[str]
"""Subset of {"NIGHT", "WET", "CLASSES"}: the preprocessor switches of one compiled shader."""

Content = tuple[Any, ...]
"""A buffer, its formats such as "3f 1f" or "4f/i" (one row per copy), and attribute names."""

FRAME_BINDING, LOOK_BINDING = 0, 1
TEXTURE_UNITS = {"noise": 0, "clouds": 1, "trees": 2}

PREAMBLE = """
layout(std140) uniform Frame {
    mat4 world_to_clip;
    vec4 eye; vec4 forward; vec4 right; vec4 up;
};
layout(std140) uniform Look {
    vec4 waves[3];
    vec4 sun_direction; vec4 sun_colour; vec4 ambient;
    vec4 haze;       // rgb, density in 1/m
    vec4 zenith;     // rgb, cloud cover
    vec4 asphalt;    // rgb, strength of the patches
    vec4 grass;      // rgb tint, dryness
    vec4 offset;     // xy: of the ground textures in metres, zw: of the clouds
};
float height(vec2 p) {
    float h = 0.0;
    for (int i = 0; i < 3; i++) h += waves[i].x * sin(waves[i].y * p.x + waves[i].z * p.y + waves[i].w);
    return h;
}
vec3 ground_normal(vec2 p) {
    vec2 slope = vec2(0.0);
    for (int i = 0; i < 3; i++)
        slope += waves[i].x * waves[i].yz * cos(waves[i].y * p.x + waves[i].z * p.y + waves[i].w);
    return normalize(vec3(-slope, 1.0));
}
vec3 daylight(vec3 n) {
    return ambient.rgb * (0.75 + 0.25 * n.z) + sun_colour.rgb * max(dot(n, sun_direction.xyz), 0.0);
}
vec3 headlights(vec3 p) {
#ifdef NIGHT
    vec3 ray = p - eye.xyz;
    float range = length(ray);
    float cone = dot(ray / range, forward.xyz - 0.05 * up.xyz);
    return vec3(1.3, 1.23, 1.04) * smoothstep(0.80, 0.99, cone) * exp(-range / 28.0);
#else
    return vec3(0.0);
#endif
}
float clearness(vec3 p) { return exp(-length(p - eye.xyz) * haze.a); }
vec3 sky_gradient(float elevation) {
    return mix(haze.rgb, zenith.rgb, 1.0 - exp(-max(elevation, 0.0) * 4.5));
}
"""

_EMIT_COLOUR = """
out vec4 target;
#define EMIT(colour, alpha) target = vec4(colour, alpha)
"""

_EMIT_CLASS = """
out vec4 target;
#define EMIT(colour, alpha) if ((alpha) < 0.25) discard; target = vec4(PIXEL_CLASS / 255.0)
"""


@dataclass(frozen=True, slots=True)
class Frame:
    """The camera of one picture: unit axes and position in the world, and the projection."""

    eye_m: NDArray[np.float64]
    forward: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    projection: NDArray[np.float64]
    half_width: float
    """Tangent of half the horizontal field of view."""

    def packed(self) -> bytes:
        """The std140 image of the shaders' `Frame` block."""
        view = np.eye(4)
        view[:3, :3] = self.right, self.up, -self.forward
        view[:3, 3] = -view[:3, :3] @ self.eye_m
        rows = np.zeros((8, 4), np.float32)
        rows[:4] = (self.projection @ view).T
        rows[4:, :3] = self.eye_m, self.forward, self.right, self.up
        return rows.tobytes()

    def visible(
        self, xy_m: NDArray[np.float64], radius_m: NDArray[np.float64] | float, reach_m: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Which discs touch the view seen from above, and how far ahead each lies, in metres."""
        heading = self.forward[:2] / np.hypot(self.forward[0], self.forward[1])
        relative = xy_m - self.eye_m[:2]
        ahead = relative @ heading
        aside = np.abs(relative @ np.array([heading[1], -heading[0]]))
        # 1.35 radii reach past the edge of an 80 degree view whose edge is met at a slant.
        inside = (ahead > -radius_m) & (ahead < reach_m + radius_m)
        return inside & (aside < np.maximum(ahead, 0.0) * self.half_width + 1.35 * radius_m), ahead

    def nearest(
        self, xy_m: NDArray[np.float64], radius_m: NDArray[np.float64] | float, reach_m: float
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Indices of the discs in view, nearest first, and how far ahead each lies, in metres."""
        seen, ahead = self.visible(xy_m, radius_m, reach_m)
        chosen = np.nonzero(seen)[0]
        chosen = chosen[np.argsort(ahead[chosen], kind="stable")]
        return chosen, ahead[chosen]


class Gpu:
    """An OpenGL context and the programs compiled in it so far."""

    def __init__(self, context: moderngl.Context) -> None:
        self.context = context
        self._programs: dict[tuple[str, str], moderngl.Program] = {}

    def buffer(self, array: NDArray[Any]) -> moderngl.Buffer:
        """A buffer that stays as it is; float32 unless `array` holds integers."""
        if array.size == 0:
            return self.context.buffer(reserve=4)
        integers = np.issubdtype(array.dtype, np.integer)
        return self.context.buffer(array.tobytes() if integers else floats(array))

    def program(
        self, shaders: tuple[str, str], pixel_class: PixelClass, variant: Variant
    ) -> moderngl.Program:
        """The compiled vertex and fragment shader, shared by all layers that use the same pair."""
        vertex, fragment = shaders
        # Drop the switches that change nothing here: compiling takes tens of milliseconds.
        if "CLASSES" in variant:
            variant = variant & {"CLASSES"}
        elif "WET" not in fragment:
            variant = variant - {"WET"}
        head = "#version 330\n" + "".join(f"#define {name}\n" for name in sorted(variant))
        head += f"#define PIXEL_CLASS {float(pixel_class)}\n" + PREAMBLE
        emit = _EMIT_CLASS if "CLASSES" in variant else _EMIT_COLOUR
        source = (head + vertex, head + emit + fragment)
        if source not in self._programs:
            self._programs[source] = program = self.context.program(*source)
            for block, binding in (("Frame", FRAME_BINDING), ("Look", LOOK_BINDING)):
                member = program.get(block, None)  # a shader may use neither
                if isinstance(member, moderngl.UniformBlock):
                    member.binding = binding
            for sampler, unit in TEXTURE_UNITS.items():
                member = program.get(sampler, None)
                if isinstance(member, moderngl.Uniform):
                    member.value = unit
        return self._programs[source]

    def release(self) -> None:
        """Free all programs."""
        for program in self._programs.values():
            program.release()
        self._programs = {}


class Layer:
    """Geometry on the GPU together with the shaders that draw it, one program per variant."""

    def __init__(
        self,
        gpu: Gpu,
        shaders: tuple[str, str],
        content: Sequence[Content],
        pixel_class: PixelClass,
        mode: int = moderngl.TRIANGLES,
        index: moderngl.Buffer | None = None,
    ) -> None:
        self._gpu, self._shaders = gpu, shaders
        self._content, self._index, self._mode = content, index, mode
        self._pixel_class = pixel_class
        self._arrays: dict[Variant, moderngl.VertexArray] = {}

    def draw(
        self, variant: Variant, instances: int = 1, vertices: int = -1, first: int = 0
    ) -> None:
        """Draw all vertices, or `vertices` from `first` on, `instances` times."""
        if instances == 0 or vertices == 0:
            return
        if variant not in self._arrays:
            self._arrays[variant] = self._array(variant)
        self._arrays[variant].render(
            self._mode, vertices=vertices, first=first, instances=instances
        )

    def replace(self, content: Sequence[Content], index: moderngl.Buffer | None) -> None:
        """Draw other buffers from now on; the old ones are released."""
        self.release()
        self._content, self._index = content, index

    def release(self) -> None:
        """Free vertex arrays and buffers."""
        for array in self._arrays.values():
            array.release()
        for buffer, *_ in self._content:
            buffer.release()
        if self._index is not None:
            self._index.release()
        self._arrays, self._content, self._index = {}, (), None

    def _array(self, variant: Variant) -> moderngl.VertexArray:
        program = self._gpu.program(self._shaders, self._pixel_class, variant)
        # Variants may leave attributes unused, and the compiler then drops them.
        content = []
        for buffer, formats, *names in self._content:
            step = "/i" if formats.endswith("/i") else ""
            parts = formats.removesuffix("/i").split()
            kept = [
                (part, name) if name in program else (_padding(part), None)
                for part, name in zip(parts, names, strict=True)
            ]
            used = [name for _, name in kept if name is not None]
            if used:
                content.append((buffer, " ".join(part for part, _ in kept) + step, *used))
        return self._gpu.context.vertex_array(program, content, self._index, index_element_size=4)


class Instances:
    """One mesh drawn many times: a layer with a row of attributes for each copy."""

    CAPACITY = 4096
    """Copies drawn at most; callers put the nearest first."""

    def __init__(
        self,
        gpu: Gpu,
        shaders: tuple[str, str],
        mesh: tuple[NDArray[Any], str, *tuple[str, ...]],
        row: tuple[str, *tuple[str, ...]],
        pixel_class: PixelClass,
        mode: int = moderngl.TRIANGLE_STRIP,
        index: NDArray[np.int32] | None = None,
    ) -> None:
        """`mesh` and `row` name the attributes of a vertex and of a copy after their formats."""
        vertices, formats, *names = mesh
        fields = sum(int(part[:-1]) for part in row[0].split())
        self._rows = gpu.context.buffer(reserve=self.CAPACITY * fields * 4, dynamic=True)
        content = [
            (gpu.buffer(vertices), formats, *names),
            (self._rows, row[0] + "/i", *row[1:]),
        ]
        triangles = None if index is None else gpu.buffer(index)
        self._layer = Layer(gpu, shaders, content, pixel_class, mode, triangles)
        self._count = 0

    def put(self, rows: NDArray[np.float64]) -> None:
        """The copies to draw from now on: (copies, fields)."""
        self._count = min(len(rows), self.CAPACITY)
        if self._count:
            self._rows.write(floats(rows[: self._count]))

    def draw(self, variant: Variant) -> None:
        """Draw all copies."""
        self._layer.draw(variant, instances=self._count)

    def release(self) -> None:
        """Free all GPU objects."""
        self._layer.release()


def _padding(part: str) -> str:
    """The moderngl format that skips an attribute such as `3f`."""
    return f"{int(part[:-1]) * 4}x"


def floats(array: NDArray[Any]) -> bytes:
    """Contiguous float32 bytes, the only number format the vertex buffers use."""
    return np.ascontiguousarray(array, np.float32).tobytes()
