"""Run a robot in Isaac Sim under a policy that lives in another Python.

    scripts/run_isaac_tool.sh examples/isaac_sim_standalone.py unix:isthmus.sock --headless \
        --usd /path/arm.usd --prim /World/arm --tip /World/arm/hand_tcp --goal 0.3 0 0.2

One file for Isaac Sim 4.5 and 5.x (`isaacsim.core.api`) and for 6.x (`isaacsim.core.experimental`).
The gateway, in the policy's Python: `isthmus serve policies/reach.onnx`.

NOT RUN ON KIT. It is written against the published source of Isaac Sim, and tested against a
stand-in (`tests/support/fake_isaacsim`) that keeps to what the source says: which calls give None
or raise AssertionError while there is no state, which arrays they give, how Ctrl-C and `close` end.

Exit status: 0; 1 after an error; 128 + the signal's number after Ctrl-C or SIGTERM.
"""

# ruff: noqa: D102 - the two robots have one interface; what it does is said where it is used

import argparse
import inspect
import os
import signal
import sys
import traceback
from collections import Counter


class NotReady(Exception):
    """Physics has no state: not yet (before its first steps), or no longer (after Stop)."""


class RobotInApi4:
    """An articulation in Isaac Sim 4.5 and 5.x. Where there is no state, these calls give None."""

    def __init__(self, app, args):
        from isaacsim.core.api import World
        from isaacsim.core.prims import SingleArticulation, SingleRigidPrim
        from isaacsim.core.utils.stage import add_reference_to_stage
        from isaacsim.core.utils.types import ArticulationAction

        dt = 1 / args.physics_hz
        self.world = World(physics_dt=dt, rendering_dt=4 * dt, stage_units_in_meters=1.0)
        add_reference_to_stage(usd_path=args.usd, prim_path=args.prim)
        scene, self.to_action, self.render = self.world.scene, ArticulationAction, not args.headless
        self.robot = scene.add(SingleArticulation(prim_path=args.prim, name="robot"))
        self.tip = args.tip and scene.add(SingleRigidPrim(prim_path=args.tip, name="tip"))
        self.is_stopped = self.world.is_stopped

    def start(self):
        self.world.reset()  # plays, and makes the handles; wanted again after every Stop

    def state(self):
        q, dq = self.robot.get_joint_positions(), self.robot.get_joint_velocities()
        if q is None or dq is None:
            raise NotReady
        return q, dq

    def tip_position(self):
        return self.tip.get_world_pose()[0]

    def command(self, targets):
        self.robot.apply_action(self.to_action(joint_positions=targets))

    def before_each_physics_step(self, function):
        self.world.add_physics_callback("isthmus", function)

    def advance(self):
        self.world.step(render=self.render)  # one physics step; with rendering a frame of several


class RobotInApi6:
    """An articulation in Isaac Sim 6.x: Warp arrays (N, D); where there is no state, assertions."""

    def __init__(self, app, args):
        import isaacsim.core.experimental.utils.app as app_utils
        import isaacsim.core.experimental.utils.stage as stage_utils
        from isaacsim.core.experimental.prims import Articulation, RigidPrim
        from isaacsim.core.simulation_manager import SimulationEvent, SimulationManager

        stage_utils.add_reference_to_stage(usd_path=args.usd, path=args.prim)
        SimulationManager.setup_simulation(dt=1 / args.physics_hz, device="cpu")
        self.robot = Articulation(args.prim)
        self.tip = args.tip and RigidPrim(args.tip)
        self.manager, self.event = SimulationManager, SimulationEvent.PHYSICS_PRE_STEP
        self.app, self.headless = app, args.headless
        self.play, self.is_stopped = app_utils.play, app_utils.is_stopped

    def start(self):
        self.play()
        self.app.update()

    def state(self):
        try:
            q, dq = self.robot.get_dof_positions(), self.robot.get_dof_velocities()
        except AssertionError as error:
            raise NotReady from error
        return q.numpy()[0], dq.numpy()[0]

    def tip_position(self):
        return self.tip.get_world_poses()[0].numpy()[0]

    def command(self, targets):
        self.robot.set_dof_position_targets(targets.reshape(1, -1))

    def before_each_physics_step(self, function):
        # A plain function: of a method, the manager keeps no more than a weak reference.
        self.manager.register_callback(function, event=self.event)

    def advance(self):
        if self.headless:
            self.manager.step()  # one physics step, nothing drawn
        else:
            self.app.update()  # a frame, with as many physics steps as are due


def robot_of(app, args):
    """Wrap the robot in the API that this Isaac Sim has; 6.x still ships the older one too."""
    try:
        from isaacsim.core.simulation_manager import SimulationEvent  # noqa: F401
    except ImportError:
        return RobotInApi4(app, args)
    return RobotInApi6(app, args)


class Control:
    """Asks the policy once every `decimation` physics steps, from inside the physics callback.

    A step of the app is one physics step, or as many as fit into a frame. Counting physics steps
    is what keeps the policy at the rate that it was trained at.
    """

    def __init__(self, robot, link, args):
        self.robot, self.link, self.dt = robot, link, 1 / args.physics_hz
        self.decimation = decimation(link.contract.control_dt, args.physics_hz)
        self.length = round(args.seconds / link.contract.control_dt) * self.decimation
        self.goals = args.goal or [None]
        self.action = link.contract.action[0]
        if len(link.contract.action) > 1 or self.action.semantics not in ("position", "delta"):
            named = ", ".join(f"{each.name} ({each.semantics})" for each in link.contract.action)
            raise SystemExit(f"expected one action, a position or a delta; the policy has {named}")
        self.goal, self.done, self.fault = 0, False, None
        self.begin()

    def begin(self):
        """Begin an episode, from wherever the robot is."""
        self.link.reset(seed=self.goal)
        self.steps, self.targets, self.came_from = 0, None, Counter()
        self.running = True

    def physics_step(self):
        """Run before each physics step. Kit swallows what a callback raises: let nothing out."""
        try:
            if self.running and not self.done and self.fault is None:
                self._step(*self.robot.state())
        except NotReady:
            pass  # one of the steps in which physics warms up
        except Exception as error:
            self.fault = error

    def _step(self, q, dq):
        if self.steps == self.length:
            self.end()
        if not self.done and self.steps % self.decimation == 0:
            self._ask(q, dq)
        self.steps += 1

    def _ask(self, q, dq):
        # sim_time: speeds are judged in the simulation's seconds, however long they take.
        action = self.link.act(self._observation(q, dq), sim_time=self.steps * self.dt)
        command = action[self.action.name]
        if self.action.semantics == "delta":
            # A drive wants a target. The next delta is added to this one, and not to where the
            # robot has come to meanwhile, unless the contract says so.
            measured = self.targets is None or self.action.reference == "measured"
            command = (q if measured else self.targets) + command
        self.targets = command
        self.robot.command(command)
        self.came_from[action.status] += 1

    def _observation(self, q, dq):
        """What the policy wants of what this program sees; add what yours wants to see."""
        seen = {"q": q, "dq": dq}
        if self.goals[self.goal] is not None:
            seen["goal"] = self.goals[self.goal]
            if self.robot.tip is not None:
                seen["tip_error"] = self._tip_error()
        return {f.name: seen[f.name] for f in self.link.contract.observation if f.name in seen}

    def _tip_error(self):
        return -(self.robot.tip_position() - self.goals[self.goal])

    def end(self):
        """End the episode, and begin the next."""
        self.say()
        self.done = self.goal + 1 == len(self.goals)
        if not self.done:
            self.goal += 1
            self.begin()

    def say(self):
        """Say how the episode went."""
        print(f"episode {self.goal + 1}: {dict(self.came_from)}", end="")
        if self.goals[self.goal] is not None and self.robot.tip is not None:
            error = self._tip_error()
            print(f", {1000 * (error @ error) ** 0.5:.1f} mm from the goal", end="")
        print(flush=True)


def run(app, args, ended):
    """Step until the episodes are over, the app is closed or somebody has had enough."""
    import isthmus  # after SimulationApp, like all that is not needed to start it

    robot = robot_of(app, args)
    robot.start()
    wait_until_ready(robot, args)
    with isthmus.connect(
        args.url,
        joints=robot.robot.dof_names,  # by name: PhysX has an order of its own, and maybe more
        deadline=args.deadline,
    ) as link:  # closed before the app, which takes the process with it
        control = Control(robot, link, args)
        robot.before_each_physics_step(lambda *_: control.physics_step())
        while app.is_running() and not ended and not control.done:
            robot.advance()
            if control.fault is not None:
                raise control.fault
            if robot.is_stopped():  # somebody pressed the button
                control.running = False
            elif not control.running:  # and Play again: the robot is where it was at first
                robot.start()
                control.begin()
        if not control.done:
            control.say()


def wait_until_ready(robot, args, steps=100):
    """Step until there is a state to read."""
    for _ in range(steps):
        try:
            robot.state()
            return
        except NotReady:
            robot.advance()
    raise SystemExit(
        f"{args.prim} has no joint state after {steps} steps: "
        f"is it, or a prim below it in {args.usd}, the root of an articulation?"
    )


def decimation(control_dt, physics_hz):
    """How many physics steps there are in a control step: a whole number, or an error."""
    steps = control_dt * physics_hz
    if round(steps) < 1 or abs(steps - round(steps)) > 1e-6 * steps:
        rate = 1 / control_dt
        raise SystemExit(
            f"{physics_hz:g} Hz physics is no multiple of {rate:g} Hz control; "
            f"use --physics-hz {rate * max(1, round(steps)):g}"
        )
    return round(steps)


def main():
    """Start the app, run, and leave with a status that tells how it went."""
    args = parse()
    from isaacsim import SimulationApp

    app = SimulationApp({"headless": args.headless})
    ended = []
    for number in (signal.SIGINT, signal.SIGTERM):
        # After SimulationApp, whose own handler of Ctrl-C ends the process at once, with status 0.
        signal.signal(number, lambda number, _: ended.append(number))
    try:
        run(app, args, ended)
        status = 128 + ended[0] if ended else 0
    except SystemExit as problem:
        print(problem, file=sys.stderr)
        status = 1
    except Exception:
        traceback.print_exc()  # now: there is no later
        status = 1
    leave(app, status)


def leave(app, status):
    """Close the app. With fast shutdown, the default, `close` does not return.

    It ends the process with status 0, whatever happened; 6.1 and newer can be told another.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if status == 0:
        app.close()
    elif "exit_code" in inspect.signature(app.close).parameters:
        app.close(exit_code=status)
    os._exit(status)


def parse():
    """Read the command line. What begins with `--/` is a setting, and Kit's."""
    parser = argparse.ArgumentParser(description="A robot in Isaac Sim, its policy elsewhere.")
    parser.add_argument("url", help="where the gateway listens")
    parser.add_argument("--usd", required=True, help="file of the robot")
    parser.add_argument("--prim", default="/World/robot", help="where it goes on the stage")
    parser.add_argument("--tip", help="prim of the rigid link whose origin is to reach the goal")
    parser.add_argument(
        "--goal",
        nargs=3,
        type=float,
        action="append",
        metavar=("X", "Y", "Z"),
        help="m; more than one for more than one episode",
    )
    parser.add_argument("--seconds", type=float, default=2.4, help="simulated, of each episode")
    parser.add_argument("--physics-hz", type=float, default=200.0)
    parser.add_argument("--headless", action="store_true")
    parser.add_argument("--deadline", type=float, help="s that an action may take, by the clock")
    settings = [word for word in sys.argv[1:] if word.startswith("--/")]
    args = parser.parse_args([word for word in sys.argv[1:] if word not in settings])
    sys.argv[1:] = settings  # SimulationApp hands Kit what it finds here
    return args


if __name__ == "__main__":
    main()
