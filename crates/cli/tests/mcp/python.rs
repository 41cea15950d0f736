//! An independent client: the Python package `mcp`. Skipped if Python or the package is not available.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::server::Setup;

const PACKAGE: &str = "mcp==2.3.0";

/// A Python with the package, installed on first use and kept in the target directory.
fn python() -> Result<PathBuf, String> {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-mcp-2.3.0");
    let python = venv.join("bin/python");
    let done = venv.join("done");
    if !done.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", PACKAGE]))?;
        std::fs::write(&done, "").map_err(|error| error.to_string())?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn the_python_client_completes_a_round_over_each_transport() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return eprintln!("skipped: no Python with {PACKAGE}: {why}"),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mcp/round.py");
    for (mode, transport) in
        [("legacy", "stdio"), ("2026-07-28", "stdio"), ("legacy", "http"), ("2026-07-28", "http")]
    {
        let setup = Setup::new();
        let server = (transport == "http").then(|| setup.serve_http(&[]));
        let mut command = Command::new(&python);
        command.arg(&script).args([mode, transport]).env("HOMING", env!("CARGO_BIN_EXE_homing"));
        command.env("HOMING_HOME", setup.home.path()).env("XDG_CONFIG_HOME", setup.home.scratch());
        if let Some(server) = &server {
            command.env("URL", &server.url).env("TOKEN", server.token());
        }
        run(&mut command).unwrap_or_else(|why| panic!("{mode} over {transport}: {why}"));
    }
}
