# SPDX-License-Identifier: Apache-2.0
"""Builds the C library with make and puts it in the wheel, beside the Python files, with a bill of materials."""

import hashlib
import json
import re
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from elftools.elf.elffile import ELFFile
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = Path("build", "lib", "libxent.so")
LEVELS = ("XentKernelsV3", "XentKernelsV4")
# What of glibc the library needs. With anything else it is at home on this machine alone.
GLIBC = {"libc.so.6", "libm.so.6", "libpthread.so.0"}
OLDEST = (2, 17)  # the oldest glibc that there is a manylinux tag for on every processor


def bill_of_materials(library, version):
    """CycloneDX: what is in the compiled library, which no package index can see."""

    def component(name, kind, licence, **more):
        return {"type": kind, "name": name, "licenses": [{"expression": licence}], **more}

    swift = subprocess.run(["swift", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0]
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    runtime = "Apache-2.0 WITH Swift-exception"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": component("xent", "library", "Apache-2.0", version=version, purl=f"pkg:pypi/xent@{version}"),
            "tools": {"components": [{"type": "application", "name": swift}]},
        },
        "components": [
            component("libxent.so", "file", "Apache-2.0", version=version,
                      hashes=[{"alg": "SHA-256", "content": digest}]),
            component("Swift standard library (Embedded; the functions that are used)", "library", runtime),
            component("libgcc (__cpu_model)", "library", "GPL-3.0-or-later WITH GCC-exception-3.1"),
        ],
    }  # fmt: skip


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
        build_data["tag"] = f"py3-none-{platform(sources / LIBRARY)}"
        if version != "editable":  # there the package finds the library in the checkout
            build_data["force_include"][str(sources / LIBRARY)] = "xent/libxent.so"
            bill = Path(tempfile.mkdtemp()) / "xent.cdx.json"
            bill.write_text(json.dumps(bill_of_materials(sources / LIBRARY, self.metadata.version), indent=1) + "\n")
            if "sbom_files" in build_data:  # PEP 770, in later versions of hatchling
                build_data["sbom_files"].append(str(bill))
            else:
                build_data["extra_metadata"][str(bill)] = "sboms/xent.cdx.json"
        build_data["extra_metadata"][str(sources / "LICENSE")] = "LICENSE"


def platform(library):
    """The wheel's platform: manylinux with the oldest glibc that has all the symbols which the library needs."""
    machine = re.sub(r"[-.]", "_", sysconfig.get_platform())  # linux_x86_64
    with open(library, "rb") as file:
        elf = ELFFile(file)
        dynamic = elf.get_section_by_name(".dynamic")
        needed = {tag.needed for tag in dynamic.iter_tags("DT_NEEDED")}
        versions = elf.get_section_by_name(".gnu.version_r")
        names = [entry.name for _, entries in versions.iter_versions() for entry in entries] if versions else []
    glibc = [tuple(map(int, re.findall(r"\d+", name))) for name in names if name.startswith("GLIBC_2")]
    if not needed <= GLIBC or not glibc or len(glibc) < len(names) or not machine.startswith("linux_"):
        return machine
    major, minor, *_ = max(OLDEST, *glibc)
    return machine.replace("linux", f"manylinux_{major}_{minor}")
