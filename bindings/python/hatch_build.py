# SPDX-License-Identifier: Apache-2.0
"""Builds the C library with make and puts it in the wheel, beside the Python files."""

import subprocess
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = Path("build", "lib", "libxent.so")
LEVELS = ("XentKernelsV3", "XentKernelsV4")


class LibraryHook(BuildHookInterface):
    def initialize(self, version, build_data):
        root = Path(self.root)
        unpacked = root / "swift"  # only in an sdist
        sources = unpacked if unpacked.is_dir() else root.parents[1]
        for level in LEVELS:  # an sdist drops links to folders
            link = sources / "Sources" / level
            if not link.exists():
                link.symlink_to("XentKernels", target_is_directory=True)
        subprocess.run(["make", "-C", str(sources), str(LIBRARY)], check=True)

        # One library serves every Python, so only the platform is in the tag.
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
        if version != "editable":  # there the package finds the library in the checkout
            build_data["force_include"][str(sources / LIBRARY)] = "xent/libxent.so"
        build_data["extra_metadata"][str(sources / "LICENSE")] = "LICENSE"
