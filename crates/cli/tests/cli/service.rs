//! `homing monitor install` and `uninstall`.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use serde_json::json;

use crate::setup::{Answer, Setup, answer};

fn unit_path(setup: &Setup) -> PathBuf {
    setup.home.scratch().join("systemd/user/homing-monitor.service")
}

/// Installs with a fixed `PATH`.
fn install(setup: &Setup, arguments: &[&str]) -> Answer {
    let mut command = setup.command(&[&["monitor", "install"], arguments].concat());
    command.env("PATH", "/usr/bin:/bin");
    for name in ["XDG_STATE_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name);
    }
    answer(command)
}

#[test]
fn install_writes_a_unit_and_prints_the_start_commands() {
    let setup = Setup::new();
    let path = unit_path(&setup);
    let installed = install(&setup, &["--command", "./wake", "--session={session}", "50% of $HOME"]);
    assert_eq!((installed.status, installed.stderr.as_str()), (Some(0), ""), "{installed:?}");
    assert_eq!(
        installed.stdout,
        format!(
            "wrote {}\n\
             start it: systemctl --user daemon-reload && systemctl --user enable --now homing-monitor\n\
             hint: run loginctl enable-linger to keep it running while you are logged out\n",
            path.display()
        )
    );
    let unit = std::fs::read_to_string(&path).unwrap();
    let scratch = setup.home.scratch().to_str().unwrap();
    insta::assert_snapshot!(
        unit.replace(env!("CARGO_BIN_EXE_homing"), "/PROGRAM").replace(scratch, "/SCRATCH")
    );
    let files: Vec<_> = path.parent().unwrap().read_dir().unwrap().collect();
    assert_eq!(files.len(), 1, "no temporary file remains: {files:?}");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn the_service_gets_the_directories_of_harnesses_and_the_certificates() {
    let setup = Setup::new();
    let mut command = setup.command(&["monitor", "install", "--command", "./wake"]);
    command.env_remove("XDG_STATE_HOME").envs([
        ("CLAUDE_CONFIG_DIR", "/home/u/claude \"50%\" $x"),
        ("CODEX_HOME", "codex home"),
        ("SSL_CERT_FILE", "/etc/ca.pem"),
        ("SSL_CERT_DIR", ""),
    ]);
    let installed = answer(command);
    assert_eq!(installed.status, Some(0), "{installed:?}");
    let unit = std::fs::read_to_string(unit_path(&setup)).unwrap();
    let here = setup.home.scratch().canonicalize().unwrap();
    for line in [
        r#"Environment="CLAUDE_CONFIG_DIR=/home/u/claude \"50%%\" $x""#.to_owned(),
        format!(r#"Environment="CODEX_HOME={}/codex home""#, here.display()),
        r#"Environment="SSL_CERT_FILE=/etc/ca.pem""#.to_owned(),
    ] {
        assert!(unit.lines().any(|found| found == line), "{line}: {unit}");
    }
    assert!(!unit.contains("SSL_CERT_DIR") && !unit.contains("XDG_STATE_HOME"), "{unit}");
}

#[test]
fn systemd_accepts_the_unit() {
    let setup = Setup::new();
    install(&setup, &["--command", "sh", "-c", "test \"$1\" = 100% \\ ; true", "--", "{session}"]);
    let runtime = setup.home.scratch().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--user"]).arg(unit_path(&setup)).env("XDG_RUNTIME_DIR", runtime);
    match verify.output() {
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !errors.contains("homing-monitor"), "{errors}");
        }
        Err(error) => testkit::skip(&format!("systemd-analyze cannot be run: {error}")),
    }
}

#[test]
fn service_documents() {
    let setup = Setup::new();
    let path = unit_path(&setup);
    let start = ["systemctl --user daemon-reload", "systemctl --user enable --now homing-monitor"];
    let stop = ["systemctl --user stop homing-monitor", "systemctl --user daemon-reload"];
    let hint = "run loginctl enable-linger to keep it running while you are logged out";
    for replaced in [false, true] {
        let document = install(&setup, &["--json"]).json();
        assert_eq!(
            document,
            json!({"path": path, "replaced": replaced, "registered": false, "start": start, "hint": hint})
        );
    }
    for removed in [true, false] {
        let document = setup.run(&["monitor", "uninstall", "--json"]).json();
        assert_eq!(document, json!({"path": path, "removed": removed, "stop": stop}));
    }
}

#[test]
fn a_foreign_unit_is_not_changed() {
    let setup = Setup::new();
    let path = setup.file("systemd/user/homing-monitor.service", "[Service]\n");
    for verb in ["install", "uninstall"] {
        let refused = setup.run(&["monitor", verb]);
        assert_eq!((refused.status, refused.stdout.as_str()), (Some(1), ""));
        assert_eq!(
            refused.stderr,
            format!(
                "homing: error: {} was not written by homing\nhint: use --force to replace or remove it anyway\n",
                path.display()
            )
        );
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[Service]\n");
    assert_eq!(install(&setup, &["--force"]).status, Some(0));
    assert!(std::fs::read_to_string(&path).unwrap().contains("ExecStart="));
}

#[test]
fn uninstall_removes_the_unit_and_the_link_that_starts_it() {
    let setup = Setup::new();
    let path = unit_path(&setup);
    let nothing = setup.run(&["monitor", "uninstall"]);
    assert_eq!((nothing.status, nothing.stdout.as_str()), (Some(0), ""));
    assert_eq!(nothing.stderr, format!("homing: nothing to remove: {} does not exist\n", path.display()));

    install(&setup, &[]);
    let wants = path.parent().unwrap().join("default.target.wants");
    std::fs::create_dir(&wants).unwrap();
    std::os::unix::fs::symlink(&path, wants.join("homing-monitor.service")).unwrap();
    let removed = setup.run(&["monitor", "uninstall"]);
    assert_eq!((removed.status, removed.stderr.as_str()), (Some(0), ""));
    assert_eq!(
        removed.stdout,
        format!(
            "removed {}\nstop it if it is still running: systemctl --user stop homing-monitor && systemctl --user daemon-reload\n",
            path.display()
        )
    );
    assert!(!path.exists() && !wants.join("homing-monitor.service").is_symlink());
}

#[test]
fn installing_a_service_without_a_sink_prints_a_note() {
    let setup = Setup::new();
    let installed = install(&setup, &[]);
    assert_eq!(installed.status, Some(0));
    assert!(
        installed
            .stderr
            .starts_with("homing: note: no sink is configured, so the service delivers nothing\n"),
        "{installed:?}"
    );
}

#[test]
#[cfg(feature = "serve")]
fn the_server_is_installed_beside_the_monitor() {
    let setup = Setup::new();
    let path = setup.home.scratch().join("systemd/user/homing-serve.service");
    let mut command = setup.command(&[
        "serve",
        "install",
        "--listen",
        "8765",
        "--monitor",
        "--base-path",
        "/homing",
        "--allow-host",
        "jobs.example",
    ]);
    command.env("PATH", "/usr/bin:/bin").env_remove("XDG_STATE_HOME");
    let installed = answer(command);
    assert_eq!(installed.status, Some(0), "{installed:?}");
    assert!(installed.stdout.contains("systemctl --user enable --now homing-serve"), "{installed:?}");
    let unit = std::fs::read_to_string(&path).unwrap();
    let start = unit.lines().find(|line| line.starts_with("ExecStart=")).expect("a command");
    let words = " serve --listen 127.0.0.1:8765 --monitor --base-path /homing --allow-host jobs.example";
    assert!(start.ends_with(words), "{start}");
    assert!(unit.contains("Description=homing serve: ") && unit.contains("homing serve uninstall"), "{unit}");
    assert!(!unit_path(&setup).exists());
    let removed = setup.run(&["serve", "uninstall", "--json"]).json();
    assert_eq!((&removed["removed"], path.exists()), (&json!(true), false));
    assert_eq!(removed["stop"][0], "systemctl --user stop homing-serve");
    assert_eq!(setup.run(&["serve", "uninstall", "--json"]).json()["removed"], false);
}
