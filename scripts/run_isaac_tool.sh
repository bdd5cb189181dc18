#!/bin/sh
# Run a script in Isaac Sim's Python:
#
#     ISAAC_SIM_ROOT=/path/to/isaac-sim scripts/run_isaac_tool.sh SCRIPT [ARGS...]
#
# In place of `$ISAAC_SIM_ROOT/python.sh SCRIPT`, from any shell: no environment that is activated or
# sourced there reaches it, and its exit status is the script's own. All of it is done by
# `isthmus run`, which any Python >= 3.10 on PATH starts.

if [ $# -eq 0 ]; then
    echo "usage: ISAAC_SIM_ROOT=/path/to/isaac-sim $0 SCRIPT [ARGS...]" >&2
    exit 2
fi
if [ -z "$ISAAC_SIM_ROOT" ]; then
    echo "isthmus: ISAAC_SIM_ROOT is not set: export the folder that holds Isaac Sim's python.sh" >&2
    exit 2
fi
if [ ! -d "$ISAAC_SIM_ROOT" ]; then
    echo "isthmus: expected Isaac Sim's folder in ISAAC_SIM_ROOT, found no folder $ISAAC_SIM_ROOT" >&2
    exit 2
fi
here=$(dirname -- "$(readlink -f -- "$0")")
exec "$here/isthmus" run --python "$ISAAC_SIM_ROOT" -- python "$@"
