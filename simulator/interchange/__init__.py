"""Scenarios of others: recorded traffic comes in (CommonRoad), ours go out (OpenDRIVE, OpenSCENARIO)."""
