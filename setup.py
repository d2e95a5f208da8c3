"""Build the native kernel where there is a C compiler; everything else about the package is in pyproject.toml."""

import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

NATIVE = "src/velora/kernels/native"
SOURCES = ("isa_plain", "isa_vector", "isa_avx2", "isa_avx512", "pool", "module")


class BuildWithConf(build_py):
    """Put the Hydra configuration beside the code in a wheel; a checkout uses the one at its root."""

    def run(self) -> None:
        """Copy the package, then conf/."""
        super().run()
        if not self.editable_mode:
            shutil.copytree("conf", Path(self.build_lib, "velora", "conf"), dirs_exist_ok=True)


class BuildWithTables(build_ext):
    """Write the tables of the C kernel before it is compiled; the source of them is Python."""

    def run(self) -> None:
        """Write tables.h, then compile."""
        sys.path.insert(0, "src")
        from velora.kernels import generate

        generate.PATH.write_text(generate.tables())
        super().run()


gnu_flags = [
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-tree-loop-distribute-patterns",  # a row is too short for a call of memset or memcpy
    "-Wno-psabi",
    "-Werror=implicit-function-declaration",
]
setup(
    cmdclass={"build_py": BuildWithConf, "build_ext": BuildWithTables},
    ext_modules=[
        Extension(
            "velora.kernels._native",
            [f"{NATIVE}/{name}.c" for name in SOURCES],
            depends=[*map(str, Path(NATIVE).glob("*.h")), f"{NATIVE}/kernels.c"],
            extra_compile_args=["/O2"] if sys.platform == "win32" else gnu_flags,
            libraries=[] if sys.platform == "win32" else ["m", "pthread"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
