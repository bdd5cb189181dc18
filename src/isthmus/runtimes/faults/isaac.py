"""Known faults: Isaac Sim, Isaac Lab and ROS 2 beside another Python."""

# ruff: noqa: E501  what programs printed is quoted as it was

from __future__ import annotations

from .base import CONSEQUENCE, SYMPTOM, Fault

__all__ = ["ISAAC_FAULTS"]

ISAAC = "Isaac Sim and Isaac Lab"
ROS = "ROS 2"

ISAAC_FAULTS = (
    Fault(
        id="isaac-wrong-python",
        title="Isaac Sim is not in the Python that runs this script",
        patterns=(
            r"No module named '(?P<what>isaacsim(?:\.simulation_app)?)'",
            r"Unable to expose 'isaacsim\.simulation_app' API",
            r"No module named '(?P<what>carb\._carb)'",
        ),
        causes=(
            "Isaac Sim lives in one Python: the one in its folder, behind python.sh, or the "
            "virtual environment it was installed into by pip, of exactly its version (4.x: 3.10, "
            "5.x: 3.11, 6.x: 3.12). The script was started by another: the shell's `python`, "
            "conda's base, an editor's."
        ),
        fix=(
            'Say where it is once: `python = "${ISAAC_SIM_ROOT}"` in `[runtime.sim]`, then '
            "`isthmus run sim -- python SCRIPT`.\n"
            "Without a manifest: `isthmus run --python ISAAC_FOLDER -- python SCRIPT`.\n"
            'Put `must_import = ["isaacsim"]` there, so that it is missed before anything starts.'
        ),
        example="""\
[INFO] Using python from: C:\\ProgramData\\miniforge3\\envs\\env_isaaclab\\python.exe
[Warning] Unable to expose 'isaacsim.simulation_app' API: No module named 'carb._carb'
Traceback (most recent call last):
  File "D:\\IsaacLab\\scripts\\tutorials\\00_sim\\create_empty.py", line 29, in <module>
    app_launcher = AppLauncher(args_cli)""",
        seen=("isaac-sim/IsaacLab#5994", "isaac-sim/IsaacSim#49", "isaac-sim/IsaacLab#2706"),
        group=ISAAC,
    ),
    Fault(
        id="isaaclab-missing",
        title="Isaac Lab is not in the Python that runs this script",
        patterns=(r"No module named '(?P<what>isaaclab(?:_\w+)?)'",),
        causes=(
            "Isaac Lab is installed into one Python, beside Isaac Sim: by `isaaclab.sh --install` "
            "or by pip. The script was started by another, or Isaac Sim is there and Isaac Lab was "
            "never installed into it. Before 2.0 its name was omni.isaac.lab."
        ),
        fix=(
            "In its checkout: `./isaaclab.sh --install`, then name that Python: `python` of "
            "`[runtime.NAME]` is the checkout (with its link _isaac_sim), or the environment it was "
            "installed into.\n"
            "Look: `isthmus run sim -- python -m pip list | grep -i isaac`."
        ),
        example="""\
Traceback (most recent call last):
  File "/home/user/project/train.py", line 3, in <module>
    from isaaclab.app import AppLauncher
ModuleNotFoundError: No module named 'isaaclab'""",
        group=ISAAC,
    ),
    Fault(
        id="isaac-renamed",
        title="the script is written for another version of Isaac Sim or Isaac Lab",
        patterns=(
            r"No module named '(?P<what>omni\.isaac\.\w+(?:\.\w+)*)'",
            r"No module named '(?P<what>omni\.isaac)'",
            r"No module named '(?P<what>isaacsim\.core\.(?:objects|util)\w*)'",
        ),
        causes=(
            "Isaac Sim 4.5 renamed its modules: omni.isaac.core became isaacsim.core.api, .prims "
            "and .utils; Isaac Lab 2.0 renamed omni.isaac.lab to isaaclab; 6.0 moved on to "
            "isaacsim.core.experimental. If the names do fit your version, the module was "
            "imported before `SimulationApp` was created (Kit provides it only then), or this "
            "is not Isaac Sim's Python."
        ),
        fix=(
            'Print the version: `isthmus run sim -- python -c "import isaacsim; '
            'print(isaacsim.__file__)"`, and see its VERSION file.\n'
            "Write the imports for that version, or start the version the script is for.\n"
            "Import omni.* and isaacsim.core.* below `SimulationApp(...)`."
        ),
        example="""\
  File "/home/lab318/IsaacLab/source/standalone/tutorials/00_sim/create_empty.py", line 20, in <module>
    from omni.isaac.lab.app import AppLauncher
ModuleNotFoundError: No module named 'omni.isaac.lab'""",
        seen=("isaac-sim/IsaacLab#1458", "isaac-sim/IsaacLab#2877", "isaac-sim/IsaacLab#2092"),
        group=ISAAC,
    ),
    Fault(
        id="isaac-before-app",
        title="a module of Kit was imported before the simulator was started",
        patterns=(
            r"were loaded before SimulationApp was started",
            r"No module named '(?P<what>isaacsim\.(?!simulation_app')[\w.]+)'",
            r"No module named '(?P<what>omni\.(?!isaac\b)[\w.]+)'",
            r"No module named '(?P<what>omni|carb|pxr)'",
        ),
        causes=(
            "omni.*, carb, pxr and most of isaacsim.* come with Kit's extensions, which are "
            "switched on when `SimulationApp` is created. Before that they are missing, or the "
            "wrong ones. On the policy's side they are always missing, and should be."
        ),
        fix=(
            "Create the app first, then import:\n"
            "`from isaacsim import SimulationApp`\n"
            "`app = SimulationApp({'headless': True})`\n"
            "`import omni.timeline  # and everything else of Kit below`\n"
            "Import isthmus below it too, and close its link before `app.close()`.\n"
            "Some extensions are off by default: `enable_extension('NAME')` before the import.\n"
            "In the policy's program: `isthmus guard check PATHS` finds where it is imported."
        ),
        example="""\
[Warning] [simulation_app.simulation_app] Modules: ['omni.kit_app'] were loaded before SimulationApp was started and might not be loaded correctly.
[Warning] [simulation_app.simulation_app] Please check to make sure no extra omniverse or pxr modules are imported before the call to SimulationApp(...)""",
        seen=("isaac-sim/IsaacLab#2047", "isaac-sim/IsaacLab#1719", "isaac-sim/IsaacSim#93"),
        group=ISAAC,
    ),
    Fault(
        id="isaac-conda",
        title="Isaac Sim's python.sh runs inside an active conda environment",
        patterns=(r"running in conda env, please deactivate before executing",),
        causes=(
            "python.sh adds its folders to the variables conda has set. Libraries of both meet in "
            "one process."
        ),
        fix=(
            "`conda deactivate` until the prompt shows no environment (base too), then start "
            "again.\n"
            "Or `isthmus run sim -- python SCRIPT`, which starts without conda's variables.\n"
            "For good: `conda config --set auto_activate_base false`."
        ),
        example="""\
Warning: running in conda env, please deactivate before executing this script
If conda is desired please source setup_conda_env.sh in your python 3.11 conda env and run python normally
WARNING: Package(s) not found: torch
There was an error running python""",
        rank=SYMPTOM,
        seen=("isaac-sim/IsaacSim#90", "isaac-sim/IsaacLab#3039"),
        group=ISAAC,
    ),
    Fault(
        id="isaac-eula",
        title="Isaac Sim waits for its licence to be accepted",
        patterns=(
            r"Do you accept the EULA\?",
            r"License Agreement \(EULA\) must be accepted before",
        ),
        causes=(
            "On its first start Isaac Sim asks on the terminal. Started by a supervisor, in a "
            "container or in CI, nobody answers: it hangs, or ends with EOFError."
        ),
        fix=(
            "Read the licence. If you may accept it: start Isaac Sim once by hand and answer, or "
            '`set = { OMNI_KIT_ACCEPT_EULA = "YES" }` in `[runtime.sim.env]` (containers: '
            "`ACCEPT_EULA=Y`).\n"
            "isthmus never accepts it for you."
        ),
        example="""\
The NVIDIA Omniverse License Agreement (EULA) must be accepted before
Omniverse Kit can start. The license terms for this product can be viewed at
https://developer.nvidia.com/omniverse/license""",
        seen=("NVlabs/curobo#119",),
        group=ISAAC,
    ),
    Fault(
        id="isaac-python-sh",
        title="python.sh says that something failed, and not what",
        patterns=(r"There was an error running python",),
        causes=(
            "Isaac Sim's python.sh prints this after any end but success, and turns every exit "
            "status into 1, a signal too. The cause is further up: look for the first traceback, "
            "not the last; errors on the way down (`registry`, `NoneType`, leaked contexts) follow "
            "from it."
        ),
        fix=(
            "Give the whole log to `isthmus doctor --explain -`.\n"
            "Start with `isthmus run sim -- python SCRIPT`: it runs Isaac's interpreter itself, "
            "and its exit status is the script's."
        ),
        example="""\
2022-12-02 15:41:54 [18,514ms] [Warning] [carb.audio.context] 1 contexts were leaked
../IsaacLab/_isaac_sim/python.sh: line 41: 414372 Segmentation fault      (core dumped) $python_exe "$@" $args
There was an error running python""",
        rank=CONSEQUENCE,
        group=ISAAC,
    ),
    Fault(
        id="ros-other-python",
        title="ROS 2's Python packages are for another Python version",
        patterns=(
            r"No module named '(?P<what>\w+\._\w*pybind11)'",
            r"The C extension '(?P<what>\S{1,400})' isn't present on the system",
        ),
        causes=(
            "setup.bash of a ROS distribution puts its packages on PYTHONPATH. Their compiled "
            "parts are for the Python of that Ubuntu (humble 3.10, jazzy 3.12); Isaac Sim 5 is "
            "3.11 and finds the Python half only."
        ),
        fix=(
            "Start Isaac Sim without ROS's variables: `isthmus run sim -- ...` drops them. Its ROS "
            "bridge brings libraries of its own: it needs ROS_DISTRO, RMW_IMPLEMENTATION and "
            "LD_LIBRARY_PATH as it prints them, set in `[runtime.sim.env]`.\n"
            'Keep rclpy in a runtime whose Python is ROS\'s: `python = "/usr/bin/python3"` with '
            "`ros = true`.\n"
            "Take `source /opt/ros/.../setup.bash` out of ~/.bashrc: every program inherits it."
        ),
        example="""\
[29.681s] Attempting to load system rclpy
[29.756s] Could not import system rclpy: No module named 'rclpy._rclpy_pybind11'
The C extension '/opt/ros/humble/lib/python3.10/site-packages/_rclpy_pybind11.cpython-311-x86_64-linux-gnu.so' isn't present on the system.""",
        seen=("isaac-sim/IsaacLab#3129", "isaac-sim/IsaacSim#17", "ros2/rclpy#1194"),
        group=ROS,
    ),
    Fault(
        id="ros-not-sourced",
        title="ROS 2 is not on this program's path",
        patterns=(r"No module named '(?P<what>rclpy|ament_\w+|rosidl_\w+|std_msgs|sensor_msgs)'",),
        causes=(
            "rclpy is no pip package: setup.bash of the distribution makes it visible. A clean "
            "environment does not have it unless it is asked for."
        ),
        fix=(
            "`source /opt/ros/DISTRO/setup.bash` in the shell that starts isthmus, and `ros = "
            "true` in `[runtime.NAME.env]`.\n"
            "The runtime's Python must be the one ROS was built for (humble 3.10, jazzy 3.12)."
        ),
        example="""\
[Error] [omni.ext._impl.custom_importer] Failed to import python module isaaclab_tasks. Error: No module named 'rclpy'. Traceback:""",
        seen=("isaac-sim/IsaacLab#2870", "PegasusSimulator/PegasusSimulator#17"),
        group=ROS,
    ),
)
