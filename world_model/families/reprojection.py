"""Where the last picture's content lies one step later, as the car's own motion moves it.

Most of the next frame is the last one seen from a little further on: each pixel's ray is turned by the yaw,
moved along the path, and looked up in the last picture (view synthesis; SfMLearner, Zhou et al. 2017,
section 3.2). The road is a plane below the camera and needs no learning. What stands beside it stands, until
training says otherwise, on walls left and right; a small network reads from the latent map by how much
content is nearer or farther than that. Cars that keep their distance are learned as far away: the network
also sees what of the last picture wasn't foreseen, and tells by it a car that drives from one that is parked.

Shapes: B batch, C channels, h w latent map, H W picture, E=2 motion (speed_mps, yaw_rate_radps).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from world_model.tokenizer.autoencoder import DOWNSCALE

WIDTH = 48
FINER = 2  # nearness is read at twice the latent map's resolution
NEAREST_PER_M = 2.0  # inverse depth; keeps an early, wild network from looking behind the camera


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """The camera that drew the pictures.

    Raises:
        ValueError: a view that is no camera's.
    """

    horizontal_fov_deg: float = 80.0
    height_m: float = 1.35
    pitch_rad: float = -0.02  # nose up positive
    wall_m: float = (
        15.0  # where content above the ground is taken to stand before anything is learned
    )
    dt_s: float = 0.1

    def __post_init__(self) -> None:
        positive = min(self.height_m, self.wall_m, self.dt_s)
        if not 0 < self.horizontal_fov_deg < 180 or positive <= 0 or abs(self.pitch_rad) > 0.5:
            raise ValueError(
                f"{self}; accepted: a field of view between 0 and 180 degrees, positive height, wall and dt,"
                " a pitch of at most 0.5 rad"
            )


class Reprojection(nn.Module):
    """The last picture as seen one step further on.

    Args:
        channels: C of the latent map.
        map_size: (h, w) of the latent map.
        camera: its geometry.
    """

    forward_HW: Tensor
    right_HW: Tensor
    down_HW: Tensor

    def __init__(self, channels: int, map_size: tuple[int, int], camera: CameraConfig) -> None:
        super().__init__()
        self.camera = camera
        h, w = map_size
        self.size = (h * DOWNSCALE, w * DOWNSCALE)
        self.reach_y, self.reach_x = self.reach(map_size, camera)
        y, x = torch.meshgrid(
            self.reach_y * centres(self.size[0]),
            self.reach_x * centres(self.size[1]),
            indexing="ij",
        )
        cos, sin = math.cos(camera.pitch_rad), math.sin(camera.pitch_rad)
        for name, ray in (("forward", cos + sin * y), ("right", x), ("down", cos * y - sin)):
            self.register_buffer(f"{name}_HW", ray, persistent=False)
        self.nearness = nn.Sequential(
            nn.Conv2d(2 * channels, WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(WIDTH, 2 * FINER**2, 1),
            nn.PixelShuffle(FINER),
        )
        last = self.nearness[-2]
        assert isinstance(last, nn.Conv2d)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.usual_2hw = nn.Parameter(torch.zeros(2, FINER * h, FINER * w))
        # share by which path and turn differ from speed and yaw rate times dt; the camera's metres ahead
        # of the point the car turns about
        self.path, self.turn, self.lever_m = (nn.Parameter(torch.zeros(())) for _ in range(3))

    @staticmethod
    def reach(map_size: tuple[int, int], camera: CameraConfig) -> tuple[float, float]:
        """Tangents of the angles to the picture's lower and right edge."""
        across = math.tan(math.radians(camera.horizontal_fov_deg) / 2)
        return across * map_size[0] / map_size[1], across

    def inverse_depth(self, latent_BChw: Tensor, missed_BChw: Tensor) -> Tensor:
        """1 / metres ahead of each pixel, relative to the car's own motion: (B, H, W)."""
        seen = torch.cat([latent_BChw, missed_BChw], 1)
        log_B2hw = self.nearness(seen).float() + self.usual_2hw
        log_B2HW = F.interpolate(log_B2hw, self.size, mode="bilinear", align_corners=False)
        ground, wall = log_B2HW.exp().unbind(1)
        ground = ground * self.down_HW.clamp_min(0) / self.camera.height_m
        wall = wall * self.right_HW.abs() / self.camera.wall_m
        return torch.maximum(ground, wall).clamp_max(NEAREST_PER_M)

    def sources(
        self,
        latent_BChw: Tensor,
        missed_BChw: Tensor,
        motion_BE: Tensor,
        nudge_B2: Tensor | None = None,
    ) -> Tensor:
        """Where each pixel of the coming picture looks in the last one: (B, H, W, 2), x and y in [-1, 1]."""
        inverse_BHW = self.inverse_depth(latent_BChw, missed_BChw)
        speed_B11, yaw_rate_B11 = motion_BE.float()[..., None, None].unbind(1)
        path_m = speed_B11 * self.camera.dt_s * (1 + self.path)
        yaw = yaw_rate_B11 * self.camera.dt_s * (1 + self.turn)  # to the left
        cos, sin = yaw.cos(), yaw.sin()
        aside_m = (
            path_m * yaw / 2 + self.lever_m * sin
        )  # to the left: the path curves, the nose swings
        if nudge_B2 is not None:
            more_m, more = nudge_B2.float()[..., None, None].unbind(1)
            aside_m, cos, sin = aside_m + more_m, (yaw + more).cos(), (yaw + more).sin()
        forward = self.forward_HW * cos + self.right_HW * sin + path_m * inverse_BHW
        right = self.right_HW * cos - self.forward_HW * sin - aside_m * inverse_BHW
        pitch_cos, pitch_sin = math.cos(self.camera.pitch_rad), math.sin(self.camera.pitch_rad)
        depth = (pitch_cos * forward - pitch_sin * self.down_HW).clamp_min(0.1)
        height = pitch_sin * forward + pitch_cos * self.down_HW
        return pairs(right / depth / self.reach_x, height / depth / self.reach_y)

    def forward(
        self,
        picture_BCHW: Tensor,
        latent_BChw: Tensor,
        missed_BChw: Tensor,
        motion_BE: Tensor,
        nudge_B2: Tensor | None = None,
    ) -> Tensor:
        """The last picture, moved: (B, 3, H, W).

        Args:
            picture_BCHW: the last picture.
            latent_BChw: its latent map.
            missed_BChw: the latent map less what was foreseen of it; zero where nothing was.
            motion_BE: speed and yaw rate until the next picture.
            nudge_B2: how much further to the left it is looked from than the motion says (m), and how much
                further to the left (rad).
        """
        # a tenth of a pixel matters: too fine for bfloat16
        with torch.autocast(motion_BE.device.type, enabled=False):
            where_BHW2 = self.sources(latent_BChw.float(), missed_BChw.float(), motion_BE, nudge_B2)
            return looked_up(picture_BCHW, where_BHW2)


def looked_up(picture_BCHW: Tensor, where_BHW2: Tensor) -> Tensor:
    """The picture at these places, x and y in [-1, 1]; its rim beyond it."""
    return F.grid_sample(
        picture_BCHW.float(), where_BHW2, padding_mode="border", align_corners=False
    )


def pairs(x_BHW: Tensor, y_BHW: Tensor) -> Tensor:
    """(B, H, W, 2). Planes joined and turned: along the last axis runtimes join number by number."""
    return torch.stack([x_BHW, y_BHW], 1).permute(0, 2, 3, 1)


def centres(count: int) -> Tensor:
    """Middles of `count` equal parts of [-1, 1]."""
    return (torch.arange(count) + 0.5) * 2 / count - 1
