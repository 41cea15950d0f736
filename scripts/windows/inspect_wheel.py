"""Inspects a wheel for Windows: scripts/windows/inspect_wheel.py WHEEL PACKAGE OBJDUMP

PACKAGE is the folder with the Python sources of the wheel, OBJDUMP is the program of GNU binutils for Windows. Prints what was
found. Exits with 1 and the reason if something is wrong.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

# Parts of Windows 10. The libraries of the compiler, such as libgcc_s_seh-1.dll and libwinpthread-1.dll, are not.
SYSTEM = {
    "advapi32.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "combase.dll",
    "crypt32.dll",
    "dbghelp.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ncrypt.dll",
    "ntdll.dll",
    "ole32.dll",
    "oleaut32.dll",
    "secur32.dll",
    "shell32.dll",
    "user32.dll",
    "userenv.dll",
    "ws2_32.dll",
}
SYSTEM_SETS = ("api-ms-win-",)

PYTHON = "python3.dll"
"""The library of the stable interface, which every Python 3 for Windows has."""


def check(condition: object, problem: str) -> None:
    if not condition:
        sys.exit(f"{WHEEL.name}: {problem}")


def objdump(program: bytes) -> str:
    with tempfile.NamedTemporaryFile() as file:
        file.write(program)
        file.flush()
        command = [OBJDUMP, "-p", file.name]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, errors="replace", check=True)
    return done.stdout


def imported(headers: str) -> set[str]:
    """The libraries that a program needs when it starts."""
    return {name.lower() for name in re.findall(r"^\s*DLL Name: (\S+)", headers, re.MULTILINE)}


def foreign(libraries: set[str]) -> set[str]:
    return {name for name in libraries - SYSTEM if not name.startswith(SYSTEM_SETS)}


def inspect(wheel: ZipFile, package: Path) -> None:
    names = wheel.namelist()
    found = re.fullmatch(r"homing-([\d.]+)-cp310-abi3-win_amd64\.whl", WHEEL.name)
    check(found, "the name is not that of a wheel for Windows and the stable interface of Python 3.10")
    assert found is not None
    version = found[1]
    info, program = f"homing-{version}.dist-info", f"homing-{version}.data/scripts/homing.exe"

    tags = Parser().parsestr(wheel.read(f"{info}/WHEEL").decode())
    check(tags.get_all("Tag") == ["cp310-abi3-win_amd64"], f"WHEEL has the tags {tags.get_all('Tag')}")
    check(tags["Root-Is-Purelib"] == "false", "WHEEL says that the package is pure Python")

    metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
    expected = {"Name": "homing", "Version": version, "Requires-Python": ">=3.10", "License-Expression": "MIT OR Apache-2.0"}
    for key, value in expected.items():
        check(metadata[key] == value, f"METADATA has {key}: {metadata[key]!r}")
    systems = {line for line in metadata.get_all("Classifier", []) if line.startswith("Operating System ::")}
    check("Operating System :: Microsoft :: Windows" in systems, f"METADATA names the systems {systems}")
    check(str(metadata.get_payload()).startswith("# homing"), "METADATA does not contain the README")

    records = {row[0]: row[1:] for row in csv.reader(io.StringIO(wheel.read(f"{info}/RECORD").decode()))}
    check(records.keys() == set(names), f"RECORD and content differ: {records.keys() ^ set(names)}")
    for name, (digest, size) in records.items():
        if name == f"{info}/RECORD":
            check((digest, size) == ("", ""), "RECORD has a digest of itself")
            continue
        content = wheel.read(name)
        sha256 = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        check((digest, size) == (f"sha256={sha256}", str(len(content))), f"RECORD has another digest or size of {name}")

    sources = {f"homing/{path.name}" for path in package.iterdir() if path.suffix in (".py", ".pyi", ".typed")}
    extension = "homing/_homing.pyd"
    difference = {name for name in names if not name.startswith(f"{info}/")} ^ (sources | {extension, program})
    check(not difference, f"content and sources differ: {difference}")

    for name, allowed in ((program, set()), (extension, {PYTHON})):
        headers = objdump(wheel.read(name))
        check("file format pei-x86-64" in headers, f"{name} is not a program for 64-bit Windows")
        libraries = imported(headers)
        check(foreign(libraries) == allowed, f"{name} needs {sorted(foreign(libraries))}, which are not parts of Windows")
        print(f"{name}: {len(wheel.read(name)):,} bytes, needs {', '.join(sorted(libraries))}")
        if name == extension:
            check("PyInit__homing" in headers, f"{name} does not export PyInit__homing")
    print(f"{WHEEL.name}: {len(names)} files with correct digests, tags and metadata, {WHEEL.stat().st_size:,} bytes")


WHEEL, PACKAGE, OBJDUMP = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

if __name__ == "__main__":
    with ZipFile(WHEEL) as opened:
        inspect(opened, PACKAGE)
