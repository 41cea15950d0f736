"""Builds the wheel: first the `homing` program, then the extension, which maturin puts into one wheel with it.

The program is linked statically (`.cargo/config.toml`). An extension cannot be, so it is built without these flags and in a
separate directory. Settings, as `pip wheel --config-settings profile=wheel-test` passes them:

    profile     the profile of the extension; default `wheel`
    program     an existing `homing` program; by default it is built
    target      the target of the extension; default is this machine. The program must then be given
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import maturin

HERE = Path(__file__).resolve().parent.parent
WORKSPACE = HERE.parent.parent
SCRIPTS = HERE / "homing.data" / "scripts"

get_requires_for_build_wheel = maturin.get_requires_for_build_wheel
get_requires_for_build_editable = maturin.get_requires_for_build_editable


def build_wheel(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    settings = _prepare(config_settings)
    return maturin.build_wheel(wheel_directory, settings, metadata_directory)


def build_editable(
    wheel_directory: str, config_settings: dict[str, Any] | None = None, metadata_directory: str | None = None
) -> str:
    settings = _prepare(config_settings)
    return maturin.build_editable(wheel_directory, settings, metadata_directory)


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    SCRIPTS.mkdir(parents=True, exist_ok=True)
    return maturin.prepare_metadata_for_build_wheel(metadata_directory, {})


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


def build_sdist(sdist_directory: str, config_settings: dict[str, Any] | None = None) -> str:
    raise SystemExit("homing: no source distribution is available; build the wheel with `pip wheel ./crates/python`")


def _prepare(config_settings: dict[str, Any] | None) -> dict[str, Any]:
    settings = dict(config_settings or {})
    folder = Path(os.environ.get("CARGO_TARGET_DIR", WORKSPACE / "target"))
    program, target = settings.pop("program", None), settings.pop("target", None)
    if target is not None and program is None:
        raise SystemExit("homing: for another target, the setting `program` must name its homing program")
    _take_program(program, folder)
    arguments = ["--profile", settings.pop("profile", "wheel"), "--locked"]
    if target is None:
        arguments += ["--target-dir", str(folder / "python")]
    else:
        # Only Linux has flags for static linking, so other targets share what was built for the program.
        arguments += ["--target-dir", str(folder), "--target", target]
    settings["build-args"] = [*_words(settings.get("build-args")), *arguments]
    # An empty value replaces the flags for static linking.
    os.environ["CARGO_ENCODED_RUSTFLAGS"] = ""
    os.environ.pop("RUSTFLAGS", None)
    return settings


def _take_program(program: str | None, target: Path) -> None:
    if program is None:
        command = ["cargo", "build", "--release", "--locked", "--package", "homing-cli", "--bin", "homing"]
        # The path depends on the target, so it is read from the messages of cargo.
        command += ["--message-format=json-render-diagnostics", "--target-dir", str(target)]
        built = subprocess.run(command, cwd=WORKSPACE, stdout=subprocess.PIPE, text=True, check=True)
        program = _executable_in(built.stdout)
    # A program of another system may be left from a build before.
    shutil.rmtree(SCRIPTS, ignore_errors=True)
    SCRIPTS.mkdir(parents=True)
    shutil.copy2(program, SCRIPTS / ("homing.exe" if program.endswith(".exe") else "homing"))


def _executable_in(messages: str) -> str:
    import json

    found = [json.loads(line).get("executable") for line in messages.splitlines()]
    return next(path for path in reversed(found) if path)


def _words(arguments: Any) -> list[str]:
    if arguments is None:
        return []
    return arguments.split() if isinstance(arguments, str) else list(arguments)
