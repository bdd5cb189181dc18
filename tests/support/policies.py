"""Policies that misbehave on request, and some that count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from isthmus import Contract
from isthmus.policy.base import ArrayMap
from isthmus.policy.callable import CallablePolicy

Arrays = dict[str, np.ndarray[Any, Any]]


def policy(
    function: Callable[[Arrays], Any], contract: Contract, name: str = "policy"
) -> CallablePolicy:
    """A function as a policy."""
    return CallablePolicy(function, contract, name=name)


def half(observation: Arrays) -> Arrays:
    """Half of `q` as `speed`."""
    return {"speed": observation["q"] * np.float32(0.5)}


def mirrored(observation: Arrays) -> Arrays:
    """Every `in_X` as `out_X`."""
    return {"out_" + name[3:]: array.copy() for name, array in observation.items()}


class Counting:
    """Half of `q`, counting calls and rows."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def __call__(self, observation: Arrays) -> Arrays:
        self.rows.append(len(observation["q"]))
        return half(observation)


class Scripted:
    """What it does depends on the first number of each row: see `DEEDS`. A bad row spoils all."""

    DEEDS: Mapping[int, Callable[[Arrays], Any]] = {}

    def __init__(self) -> None:
        self.release = threading.Event()

    def __call__(self, observation: Arrays) -> Any:
        deeds = set(observation["q"][:, 0].astype(int).tolist())
        answer = half(observation)
        if 101 in deeds:
            raise RuntimeError("this row is cursed")
        if 102 in deeds:
            answer["speed"][observation["q"][:, 0] == 102] = np.nan
        if 103 in deeds:
            answer["speed"][observation["q"][:, 0] == 103] = np.inf
        if 104 in deeds:
            return {"speed": np.zeros((len(observation["q"]), 5), np.float32)}
        if 105 in deeds:
            return {"velocity": answer["speed"]}
        if 106 in deeds:
            return {"speed": [["not", "numbers"]] * len(observation["q"])}
        if 107 in deeds:
            self.release.wait(30)
        if 108 in deeds:
            answer["speed"][...] = 3e38
        return answer


class Raw:
    """A policy object of somebody's own that keeps none of the protocol's promises."""

    name = "raw"
    kind = "callable"
    digest = "0" * 64

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def initial_state(self, num_envs: int) -> Arrays:
        return {}

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        if (observation["q"][:, 0] == 101).any():
            raise ZeroDivisionError("not an InferenceError at all")
        action["speed"][...] = observation["q"] * np.float32(0.5)

    def close(self) -> None:
        """Nothing to give back."""


class Summing(Raw):
    """Recurrent: answers the sum of everything its environment has seen this episode."""

    name = "summing"

    def initial_state(self, num_envs: int) -> Arrays:
        return {"sum": np.zeros((num_envs, 2), np.float32)}

    def infer(
        self, observation: ArrayMap, action: ArrayMap, state: ArrayMap, next_state: ArrayMap
    ) -> None:
        next_state["sum"][...] = state["sum"] + observation["q"]
        if (observation["q"] == 101).any():
            raise ZeroDivisionError("after the state was written")
        action["speed"][...] = next_state["sum"]
