"""The units a contract may name.

A unit is a label, never a conversion: two sides that disagree are refused, not scaled.
"""

from __future__ import annotations

__all__ = ["RATES", "UNITS"]

UNITS: dict[str, str] = {
    "": "no unit: counts, classes, pixels, normalised values",
    "rad": "angle",
    "rad/s": "angular velocity",
    "rad/s^2": "angular acceleration",
    "deg": "angle in degrees",
    "deg/s": "angular velocity in degrees",
    "m": "length",
    "m/s": "velocity",
    "m/s^2": "acceleration",
    "N": "force",
    "N*m": "torque",
    "s": "time",
    "Hz": "frequency",
    "kg": "mass",
    "K": "temperature",
    "degC": "temperature in Celsius",
    "V": "voltage",
    "A": "current",
    "Pa": "pressure",
    "T": "magnetic flux density",
    "quat_xyzw": "unit quaternion, scalar last",
    "quat_wxyz": "unit quaternion, scalar first",
    "normalized": "scaled to -1..1 or 0..1 by the producer",
}
"""Unit name -> what it measures. SI first; the two quaternion orders are told apart on purpose."""

RATES: dict[str, str] = {"rad": "rad/s", "deg": "deg/s", "m": "m/s"}
"""Unit of a position -> unit of its velocity."""
