"""How each weather looks: light, haze and sky, varied a little by the scene's seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.truth.scene import Scene

from .layer import Variant

Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Weather:
    """Colours are display values in 0..1; `haze_density_1pm` is the extinction per metre."""

    sun_elevation_deg: tuple[float, float]
    sun: Rgb
    ambient: Rgb
    haze: Rgb
    haze_density_1pm: float
    zenith: Rgb
    cloud_cover: tuple[float, float]
    variant: Variant = frozenset()


WEATHER = {
    "day": Weather(
        (28, 60), (0.95, 0.90, 0.80), (0.48, 0.52, 0.60), (0.72, 0.80, 0.88), 0.0022,
        (0.25, 0.45, 0.80), (0.25, 0.60),
    ),
    "overcast": Weather(
        (50, 70), (0.22, 0.22, 0.22), (0.70, 0.72, 0.74), (0.70, 0.72, 0.74), 0.004,
        (0.52, 0.56, 0.62), (1.1, 1.3),
    ),
    "sunset": Weather(
        (5, 11), (1.0, 0.55, 0.28), (0.40, 0.36, 0.42), (0.95, 0.66, 0.45), 0.003,
        (0.28, 0.36, 0.60), (0.4, 0.7),
    ),
    "fog": Weather(
        (50, 70), (0.15, 0.15, 0.15), (0.72, 0.74, 0.76), (0.76, 0.78, 0.79), 0.020,
        (0.74, 0.76, 0.78), (1.2, 1.2),
    ),
    "rain": Weather(
        (50, 70), (0.12, 0.12, 0.12), (0.55, 0.58, 0.62), (0.55, 0.58, 0.61), 0.009,
        (0.42, 0.46, 0.50), (1.2, 1.4), frozenset({"WET"}),
    ),
    "night": Weather(
        (50, 70), (0.02, 0.02, 0.03), (0.055, 0.06, 0.085), (0.03, 0.035, 0.055), 0.004,
        (0.01, 0.012, 0.03), (0.2, 0.4), frozenset({"NIGHT"}),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Look:
    """One scene's weather with its seed's choices made."""

    weather: Weather
    sun_direction: np.ndarray
    cloud_cover: float
    asphalt: np.ndarray
    grass: np.ndarray
    offset: np.ndarray
    waves: np.ndarray

    def packed(self) -> bytes:
        """The std140 image of the shaders' `Look` block."""
        weather = self.weather
        rows = np.zeros((11, 4), np.float32)
        rows[0:3] = self.waves
        rows[3, :3] = self.sun_direction
        rows[4, :3] = weather.sun
        rows[5, :3] = weather.ambient
        rows[6] = *weather.haze, weather.haze_density_1pm
        rows[7] = *weather.zenith, self.cloud_cover
        rows[8] = self.asphalt
        rows[9] = self.grass
        rows[10] = self.offset
        return rows.tobytes()


def look_of(scene: Scene) -> Look:
    """The weather of `scene` as its seed varies it."""
    weather = WEATHER[scene.weather]
    rng = np.random.default_rng([scene.seed, 0xC0FFEE])
    azimuth = rng.uniform(0.0, 2.0 * np.pi)
    elevation = np.radians(rng.uniform(*weather.sun_elevation_deg))
    sun_direction = np.array(
        [
            np.cos(azimuth) * np.cos(elevation),
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
        ]
    )
    brightness = rng.uniform(0.88, 1.18)
    warmth = rng.uniform(-0.012, 0.012)
    asphalt = np.array([0.238 + warmth, 0.236, 0.244 - warmth, 0.0]) * brightness
    asphalt[3] = rng.uniform(0.4, 1.0)
    dryness = rng.uniform(0.0, 1.0)
    tint = np.array([1.0 + 0.10 * dryness, 1.0, 1.0 - 0.15 * dryness]) * rng.uniform(0.9, 1.1)
    return Look(
        weather=weather,
        sun_direction=sun_direction,
        cloud_cover=rng.uniform(*weather.cloud_cover),
        asphalt=asphalt,
        grass=np.append(tint, dryness),
        offset=np.concatenate([rng.uniform(0.0, 500.0, 2), rng.uniform(0.0, 1.0, 2)]),
        waves=scene.hills.waves,
    )
