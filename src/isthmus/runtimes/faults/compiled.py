"""Known faults: compiled code that does not fit numpy, or the libraries it is loaded with."""

# ruff: noqa: E501  what programs printed is quoted as it was

from __future__ import annotations

from .base import Fault

__all__ = ["COMPILED_FAULTS"]

NUMPY = "numpy 1 and numpy 2"
LIBRARIES = "Shared libraries"

COMPILED_FAULTS = (
    Fault(
        id="numpy-abi-1",
        title="a package built for numpy 1 was loaded with numpy 2",
        patterns=(
            r"compiled using NumPy 1\.x cannot be run in",
            r"_ARRAY_API not found",
            r"numpy\.core\.\w+ failed to import",
            r"numpy\.dtype size changed.{0,200}Expected 96 from C header, got 88",
            r"compiled against ABI version 0x1\w+ but this version of numpy is 0x2",
        ),
        causes=(
            "numpy 2 changed its binary interface. A package compiled for numpy 1 cannot use it: "
            "it fails on import, or warns and fails later. Often one `pip install` beside Isaac "
            "Sim (which pins numpy 1.26 up to 5.x) has brought numpy 2 along."
        ),
        fix=(
            "In that environment: `pip install 'numpy<2'`, or upgrade the package that the "
            "traceback names to a release built for numpy 2.\n"
            "Keep the simulator's numpy as it came: put what needs numpy 2 in a runtime of its own "
            "and connect the two; isthmus runs with numpy 1.24 on one side and 2.x on the other."
        ),
        example="""\
A module that was compiled using NumPy 1.x cannot be run in
NumPy 2.1.0 as it may crash. To support both 1.x and 2.x
versions of NumPy, modules must be compiled with NumPy 2.0.

  File "C:\\Python310\\lib\\site-packages\\onnxruntime\\capi\\_pybind_state.py", line 33, in <module>
    from .onnxruntime_pybind11_state import *  # noqa
AttributeError: _ARRAY_API not found
ImportError: numpy.core.multiarray failed to import""",
        seen=("NVIDIA/IsaacTeleop#125", "isaac-sim/IsaacSim#69", "hacksider/Deep-Live-Cam#412"),
        group=NUMPY,
    ),
    Fault(
        id="numpy-too-old",
        title="a package built for a newer numpy was loaded with an older one",
        patterns=(
            r"numpy\.dtype size changed.{0,200}Expected 88 from C header, got 96",
            r"compiled against API version 0x\w+ but this version of numpy is 0x",
            r"No module named 'numpy\.exceptions'",
        ),
        causes=(
            "The package needs a newer numpy than this environment has. The simulator's numpy is "
            "pinned, and pip was told to leave it (`--no-deps`), or another numpy lies first on "
            "the import path."
        ),
        fix=(
            "Install a release of the package that supports this numpy: `pip check` says what "
            "each asks for.\n"
            "Or move the package to a runtime with a numpy of its own: `[runtime.NAME]` with "
            "`requirements`."
        ),
        example="""\
  File "/home/user/sim/lib/python3.11/site-packages/scipy/_lib/_util.py", line 22, in <module>
    from numpy.exceptions import AxisError
ModuleNotFoundError: No module named 'numpy.exceptions'""",
        group=NUMPY,
    ),
    Fault(
        id="numpy-pickle",
        title="an array pickled by numpy 2 was read with numpy 1",
        patterns=(r"No module named 'numpy\._core(?!\._multiarray_umath)[\w.]*'",),
        causes=(
            "A pickle names the module of its classes, and numpy 2 moved them from numpy.core to "
            "numpy._core. Pickles between two environments (files, multiprocessing, torch.load) "
            "need the same numpy on both sides."
        ),
        fix=(
            "Exchange arrays as `.npy` or `.npz` (`numpy.save`), or through isthmus, which sends "
            "no pickles and does not care which numpy the other side has.\n"
            "To read one old file: in the side with numpy 2, load it and `numpy.save` it."
        ),
        example="""\
    all_segments = pickle.load(f)
ModuleNotFoundError: No module named 'numpy._core.numeric'""",
        seen=("numpy/numpy#28340",),
        group=NUMPY,
    ),
    Fault(
        id="numpy-removed-name",
        title="the code uses a name that this numpy no longer has",
        patterns=(
            r"was removed in the NumPy 2\.0 release",
            r"module 'numpy' has no attribute "
            r"'(?P<what>bool|int|float|object|str|complex|float_|unicode_)'",
        ),
        causes=(
            "`np.bool`, `np.int`, `np.float` went with numpy 1.24, `np.float_`, `np.NaN` and "
            "others with 2.0. The package is older than the numpy it runs with."
        ),
        fix=(
            "Upgrade the package that the traceback names, or pin numpy below the release that "
            "removed the name: `'numpy<1.24'` or `'numpy<2'` in `requirements` of its runtime."
        ),
        example="""\
  File "/home/user/policy/lib/python3.11/site-packages/numpy/__init__.py", line 400, in __getattr__
    raise AttributeError(
AttributeError: `np.float_` was removed in the NumPy 2.0 release. Use `np.float64` instead.""",
        group=NUMPY,
    ),
    Fault(
        id="libstdcxx",
        title="an older C++ library than the one needed was loaded first",
        patterns=(r"version [`'](?P<what>(?:GLIBCXX|CXXABI)_[\d.]+)' not found",),
        causes=(
            "One process loads one libstdc++. The first found was conda's, or one named by "
            "LD_LIBRARY_PATH (ROS, Isaac Sim, CUDA), and it is older than what the compiled "
            "package was built with. The path in the message says which was loaded."
        ),
        fix=(
            "`unset LD_LIBRARY_PATH`, `conda deactivate`, and try again; `isthmus run NAME -- ...` "
            "does both for the program it starts.\n"
            "If the program needs that conda environment: `conda install -c conda-forge "
            "'libstdcxx-ng>=12'` in it."
        ),
        example=(
            "ImportError: /usr/local/miniconda3/envs/ktransformers/bin/../lib/libstdc++.so.6: "
            "version `GLIBCXX_3.4.30' not found (required by /usr/local/miniconda3/envs/"
            "ktransformers/lib/python3.11/site-packages/cpuinfer_ext.cpython-311-x86_64-linux-gnu.so)"
        ),
        seen=("kvcache-ai/ktransformers#524", "isl-org/Open3D#5531"),
        group=LIBRARIES,
    ),
    Fault(
        id="libc",
        title="the program was built for a newer system than this one",
        patterns=(r"version [`'](?P<what>GLIBC_[\d.]+)' not found",),
        causes=(
            "The package needs a newer C library than the operating system has. Isaac Sim 5 needs "
            "Ubuntu 22.04 (glibc 2.35). No variable can change it."
        ),
        fix=(
            "Upgrade the system or run the program in a container with a newer one.\n"
            "Or install an older release of the package: `pip install --only-binary :all: PACKAGE` "
            "takes the newest that fits."
        ),
        example=(
            "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.32' not found (required by "
            "/Isaac-GR00T/.venv/lib/python3.10/site-packages/"
            "flash_attn_2_cuda.cpython-310-x86_64-linux-gnu.so)"
        ),
        seen=("NVIDIA/Isaac-GR00T#514",),
        group=LIBRARIES,
    ),
    Fault(
        id="torch-symbols",
        title="PyTorch found other CUDA or math libraries than it was built with",
        patterns=(
            r"undefined symbol: (?P<what>(?:nccl|iJIT_|__nvJitLink|cublas|cudnn|cusparse)\w*)",
            r"undefined symbol: (?P<what>_ZNK?(?:2at|3c10|5torch)\w*)",
            r"(?<!\w)lib(?:torch|c10|cu)\w{0,60}\.so[\d.]{0,20}: undefined symbol: (?P<what>\w+)",
        ),
        causes=(
            "Two sets of libraries meet in one process: LD_LIBRARY_PATH names another CUDA, two "
            "`nvidia-*-cu12` packages are installed, MKL is newer than PyTorch expects, or an "
            "extension was built for another PyTorch. Isaac Sim brings a PyTorch of its own in "
            "pip_prebundle."
        ),
        fix=(
            "`unset LD_LIBRARY_PATH` (PyTorch's packages bring their CUDA along); `isthmus run "
            "NAME -- ...` filters it.\n"
            "Look for a second PyTorch: `python -c 'import torch; print(torch.__file__)'`, `pip "
            "list | grep -i -e torch -e nvidia`.\n"
            "`iJIT_NotifyEvent` in conda: `conda install 'mkl<2024.1'`."
        ),
        example=(
            "[Error] [omni.ext._impl.custom_importer] Failed to import python module "
            "isaacsim.core.simulation_manager. Error: /home/user/isaacsim/exts/"
            "omni.isaac.ml_archive/pip_prebundle/torch/lib/../../nvidia/cusparse/lib/"
            "libcusparse.so.12: undefined symbol: __nvJitLinkCreate_12_8, version libnvJitLink.so.12"
        ),
        seen=("isaac-sim/IsaacSim#24", "isaac-sim/IsaacSim#81", "pytorch/pytorch#119932"),
        group=LIBRARIES,
    ),
    Fault(
        id="static-tls",
        title="a library was loaded too late to get its thread-local memory",
        patterns=(r"(?<!\S)(?P<what>\S{1,400}): cannot allocate memory in static TLS block",),
        causes=(
            "The space for thread-local variables that must be there from the start is used up by "
            "libraries loaded before. Import order decides; Isaac Sim's python.sh preloads "
            "libcarb.so for this reason."
        ),
        fix=(
            "Start Isaac Sim by its folder, so that python.sh's LD_PRELOAD is kept: `python = "
            '"${ISAAC_SIM_ROOT}"` in `[runtime.sim]`.\n'
            "Elsewhere import the library the message names first, or preload it: `set = { "
            'LD_PRELOAD = "/path/of/it" }` in `[runtime.NAME.env]`.'
        ),
        example=(
            "OSError: /home/user/anaconda3/envs/isaaclab310/lib/python3.10/site-packages/omni/"
            "libcarb.so: cannot allocate memory in static TLS block"
        ),
        seen=("isaac-sim/IsaacLab#2090",),
        group=LIBRARIES,
    ),
    Fault(
        id="missing-library",
        title="a shared library that the program needs is not found",
        patterns=(r"(?<![\w.+\-])(?P<what>lib[\w.+\-]{1,100}): cannot open shared object file",),
        causes=(
            "The loader looked where the system, the binary and LD_LIBRARY_PATH say, and the "
            "library is in none of these. A libpython of another version means that the "
            "extension belongs to another Python; CUDA's and cuDNN's usually come with a pip "
            "package that is missing or was half overwritten."
        ),
        fix=(
            "Find whose it is: `find / -name 'LIBRARY*' 2>/dev/null`, then reinstall that package "
            "in the runtime: `pip install --force-reinstall PACKAGE`.\n"
            'If the program relies on LD_LIBRARY_PATH: `set = { LD_LIBRARY_PATH = "..." }` in '
            "`[runtime.NAME.env]`; ROS's own come with `ros = true`."
        ),
        example="ImportError: libpython3.7m.so.1.0: cannot open shared object file: No such file or directory",
        seen=("ami-iit/ami-commons#16", "isaac-sim/IsaacLab#7139"),
        group=LIBRARIES,
    ),
)
