"""Any Gymnasium environment under a policy that lives in another Python.

    isthmus contract from-gym CartPole-v1 --control-dt 0.02 --fallback zero -o cartpole.json
    isthmus serve cartpole_policy:balance --contract cartpole.json   # in examples/
    python gymnasium_loop.py CartPole-v1

An environment that is registered by a module of yours: `--import isthmus.sim.mujoco`.
"""

import argparse
from importlib import import_module

import gymnasium

import isthmus


def main():
    """Run a few episodes in real time, and print what they brought."""
    args = parse()
    for module in args.imports:
        import_module(module)
    env = gymnasium.make(args.env)
    with isthmus.connect(args.url, deadline=args.deadline) as link:
        dt = link.contract.control_dt
        rate = isthmus.Rate(1 / dt)
        for seed in range(args.episodes):
            observation, _ = env.reset(seed=seed)
            link.reset(seed=seed)  # an episode starts: the policy forgets, limits begin anew
            steps, total, over, late = 0, 0.0, False, 0
            while not over:
                fields = flat(observation, bare=link.contract.observation[0].name)
                action = link.act(fields, sim_time=steps * dt)
                command = shaped(env.action_space, action, bare=link.contract.action[0].name)
                observation, reward, terminated, truncated, _ = env.step(command)
                steps, total, over = steps + 1, total + float(reward), terminated or truncated
                late += action.status != "policy"
                if not args.fast:
                    rate.sleep()
            print(f"episode {seed}: {steps} steps, return {total:g}, {late} without an answer")
    env.close()


def flat(value, name="", bare=""):
    """An observation as fields: parts of Dict and Tuple by dotted names, as the contract's."""
    if not isinstance(value, dict | tuple):
        return {name or bare: value}
    fields = {}
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        fields |= flat(part, f"{name}.{key}" if name else str(key))
    return fields


def shaped(space, action, name="", bare=""):
    """An action in the shape of the space: the way back."""
    if not isinstance(space, gymnasium.spaces.Dict | gymnasium.spaces.Tuple):
        return action[name or bare][()]
    parts = space.items() if isinstance(space, gymnasium.spaces.Dict) else enumerate(space)
    found = {
        key: shaped(part, action, f"{name}.{key}" if name else str(key)) for key, part in parts
    }
    return found if isinstance(space, gymnasium.spaces.Dict) else tuple(found.values())


def parse():
    """Read the command line."""
    parser = argparse.ArgumentParser(description="A Gymnasium environment, its policy elsewhere.")
    parser.add_argument("env", help="as gymnasium.make takes it")
    parser.add_argument("url", nargs="?", default="unix:isthmus.sock", help="where the gateway is")
    parser.add_argument("--import", action="append", default=[], dest="imports", metavar="MODULE")
    parser.add_argument("--episodes", type=int, default=3)
    parser.add_argument("--deadline", type=float, help="s that an action may take")
    parser.add_argument("--fast", action="store_true", help="as fast as it goes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
