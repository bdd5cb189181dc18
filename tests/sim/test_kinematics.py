"""Kinematics and drawings without MuJoCo agree with MuJoCo."""

from __future__ import annotations

import subprocess
import sys

import mujoco
import numpy as np
import pytest

from isthmus.sim.mujoco import (
    JOINT_NAMES,
    MAX_RATE,
    VIEWS,
    arm_model,
    capsules,
    contract,
    inverse,
    joint_limits,
    link_frames,
    mjcf,
    svg,
    tip_jacobian,
    tip_position,
)

# Waveshare's firmware: lengths in m, along and across each link.
SHOULDER_HEIGHT = 0.12606
UPPER_ARM = (0.23682, 0.03000)
FOREARM = 0.14449
HAND = (0.17167, 0.01369)

# The working range and speed of each joint, rad and rad/s.
JOINTS = {
    "base_link_to_link1": (-1.5708, 1.5708, 4.0),
    "link1_to_link2": (-1.5708, 1.5708, 3.5),
    "link2_to_link3": (-1.0, 2.95, 3.0),
    "link3_to_link4": (-1.5708, 1.5708, 3.0),
    "link4_to_link5": (-3.1416, 3.1416, 4.0),
    "link5_to_gripper_link": (0.0, 1.5, 2.5),
}


@pytest.fixture(scope="module")
def compiled() -> tuple[mujoco.MjModel, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(mjcf())
    return model, mujoco.MjData(model)


def poses(count: int) -> np.ndarray:
    low, high = joint_limits()
    return np.random.default_rng(5).uniform(low, high, (count, 6))


def test_the_arm_has_the_firmwares_lengths() -> None:
    upright = tip_position(np.zeros(6))
    height = SHOULDER_HEIGHT + UPPER_ARM[0] + FOREARM + HAND[0]
    assert upright == pytest.approx([UPPER_ARM[1] + HAND[1], 0.0, height], abs=1e-9)


def test_a_positive_angle_leans_forward_and_turns_left() -> None:
    forward = tip_position([0, 0, np.pi / 2, 0, 0, 0])
    assert forward == pytest.approx([0.03 + FOREARM + HAND[0], 0, 0.36288 - HAND[1]], abs=1e-6)
    left = tip_position([np.pi / 2, 0, np.pi / 2, 0, 0, 0])
    assert left == pytest.approx([0, forward[0], forward[2]], abs=1e-6)


def test_joints_have_the_real_ranges_and_speeds(compiled: tuple) -> None:
    model, _ = compiled
    limits = contract().limits["delta"]
    assert tuple(JOINTS) == JOINT_NAMES == tuple(link.joint for link in arm_model().joints)
    for i, (name, (low, high, speed)) in enumerate(JOINTS.items()):
        assert model.joint(name).range == pytest.approx([low, high])
        assert (limits.low[i], limits.high[i], limits.max_rate[i]) == (low, high, speed)
        assert MAX_RATE[name] == speed


def test_the_moving_mass_is_the_arms(compiled: tuple) -> None:
    model, _ = compiled
    assert model.body_mass[model.body_dofnum > 0].sum() == pytest.approx(0.45, abs=0.02)


def test_forward_kinematics_match_mujoco(compiled: tuple) -> None:
    model, data = compiled
    for q in poses(50):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        assert tip_position(q) == pytest.approx(data.site("tip").xpos, abs=1e-9)
        rotations, origins = link_frames(q)
        for link, rotation, origin in zip(arm_model().links, rotations, origins, strict=True):
            assert origin == pytest.approx(data.body(link.name).xpos, abs=1e-9)
            assert rotation == pytest.approx(data.body(link.name).xmat.reshape(3, 3), abs=1e-9)


def test_forward_kinematics_take_batches() -> None:
    q = poses(12).reshape(3, 4, 6)
    together = tip_position(q)
    assert together.shape == (3, 4, 3)
    assert together[1, 2] == pytest.approx(tip_position(q[1, 2]), abs=1e-12)


def test_the_jacobian_matches_differences_of_positions() -> None:
    step = 1e-6
    for q in poses(20):
        numeric = [
            (tip_position(q + d) - tip_position(q - d)) / (2 * step) for d in step * np.eye(6)
        ]
        assert tip_jacobian(q) == pytest.approx(np.array(numeric).T, abs=1e-7)


def test_the_hand_does_not_move_the_tip() -> None:
    q = poses(1)[0]
    assert tip_position([*q[:5], 0.0]) == pytest.approx(tip_position([*q[:5], 1.5]))
    assert not tip_jacobian(q)[:, 5].any()


def test_inverse_kinematics_find_a_pose_inside_the_limits() -> None:
    low, high = joint_limits()
    start = np.array([0, 0, 1.5, 0, 0, 0.3])
    for q in poses(60):
        goal = tip_position(q)
        found, error = inverse(goal, start)
        assert (found >= low).all() and (found <= high).all()
        assert error == pytest.approx(np.linalg.norm(tip_position(found) - goal), abs=1e-12)
        assert found[5] == start[5]


def test_inverse_kinematics_say_when_a_goal_is_out_of_reach() -> None:
    _, error = inverse([2.0, 0.0, 0.2], np.zeros(6), iterations=20)
    assert error > 1.0


def test_capsules_lie_where_mujoco_puts_the_geoms(compiled: tuple) -> None:
    model, data = compiled
    q = poses(1)[0]
    data.qpos[:] = q
    mujoco.mj_kinematics(model, data)
    shapes = capsules(q)
    assert len(shapes) > 20
    for shape in shapes:
        geom = model.geom(shape.name)
        middle = (np.array(shape.start) + np.array(shape.end)) / 2
        assert middle == pytest.approx(data.geom(shape.name).xpos, abs=1e-9)
        assert shape.radius == pytest.approx(geom.size[0])
        assert np.linalg.norm(np.subtract(shape.end, shape.start)) / 2 == pytest.approx(
            geom.size[1]
        )
        assert shape.colour == pytest.approx(model.mat(int(geom.matid[0])).rgba)


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_a_right_handed_frame(view: str) -> None:
    right, up, eye = np.array(VIEWS[view])
    assert np.cross(right, up) == pytest.approx(eye, abs=1e-2)
    assert np.linalg.norm(VIEWS[view], axis=1) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("view", VIEWS)
def test_the_drawing_is_one_svg_element(view: str) -> None:
    from xml.etree import ElementTree

    q = poses(1)[0]
    drawn = ElementTree.fromstring(svg(q, view=view, goal=(0.3, 0, 0.2), path=np.eye(3)))
    tags = [child.tag.rsplit("}", 1)[-1] for child in drawn]
    assert tags.count("path") == len(capsules(q)) + (view in ("side", "front"))
    assert tags.count("circle") == 1 and tags.count("polyline") == 1


def test_kinematics_and_drawings_need_no_simulator() -> None:
    program = (
        "import sys; sys.modules['mujoco'] = sys.modules['gymnasium'] = None\n"
        "from isthmus.sim.mujoco import capsules, contract, inverse, svg, tip_position\n"
        "svg([0] * 6); inverse([.3, 0, .2], [0] * 6); contract().interface_hash\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
