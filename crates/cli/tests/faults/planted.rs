//! Foreign files in a home: they do not block, readers skip them, and `homing recover` and `homing doctor --fix` set
//! them aside.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use homing::{JobId, ListOptions, MonitorOptions, MonitorUntil, Outcome};
use testkit::wait_until;

use crate::evidence::{ids, json, names_in};
use crate::setup::{Setup, kill_9, outcome, stdout};

/// Longer than any command needs, and shorter than any wait for a lock.
const AT_ONCE: Duration = Duration::from_secs(20);

fn make_fifo(path: &Path) {
    let made = Command::new("mkfifo").arg("-m").arg("600").arg(path).status().expect("mkfifo(1)");
    assert!(made.success());
}

/// Runs a command that must not block, and returns its output.
fn at_once(mut command: Command, what: &str) -> Output {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let pid = child.id();
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(AT_ONCE) {
        Ok(output) => output.expect("it ended"),
        Err(_) => {
            kill_9(pid);
            panic!("{what}: it blocks")
        }
    }
}

#[test]
fn recover_sets_planted_files_aside_and_applies_retention() {
    let setup = Setup::new();
    let old = setup.run("true").id;
    setup.homing.acknowledge(&[old]).expect("its session has read it");
    let inbox = setup.home.path().join("inbox");
    fs::create_dir(inbox.join("planted")).expect("a directory");
    let config = setup.scratch("retention.toml");
    fs::write(&config, "[retention]\nfinished = \"1ms\"\n").expect("a configuration");
    let mut recover = setup.program();
    let recovered = stdout(&recover.arg("recover").env("HOMING_CONFIG", &config).output().expect("it runs"));
    assert!(recovered.contains("planted to "), "{recovered}");
    assert!(recovered.contains("old jobs removed by retention: 1"), "{recovered}");
    assert!(!inbox.join("planted").exists() && setup.home.path().join("set-aside").exists());
    assert!(setup.homing.get(old).is_err(), "it was removed");
}

#[test]
fn a_fifo_in_place_of_a_file_does_not_block_and_is_reported() {
    for (name, args) in [
        ("ledger.lock", &["list"][..]),
        ("ledger.db", &["list"]),
        ("ledger.db-wal", &["list"]),
        ("monitor.lock", &["monitor", "--once"]),
        ("monitor.log", &["list"]),
    ] {
        let setup = Setup::new();
        setup.run("exit 1");
        let Setup { homing, home } = setup;
        drop(homing);
        let path = home.path().join(name);
        if name.starts_with("ledger") {
            for suffix in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(home.path().join(format!("ledger.db{suffix}")));
            }
        }
        let _ = fs::remove_file(&path);
        make_fifo(&path);
        let mut command = crate::setup::program(&home);
        command.args(args);
        let output = at_once(command, name);
        if name != "monitor.log" {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(text.contains(name) && text.contains("not a regular file"), "{name}: {output:?}");
        }
        assert!(path.exists(), "{name}: only doctor --fix moves it");

        let mut doctor = crate::setup::program(&home);
        doctor.args(["doctor", "--fix"]);
        let output = at_once(doctor, name);
        assert!(String::from_utf8_lossy(&output.stdout).contains("set-aside"), "{name}: {output:?}");
        assert_eq!(names_in(&home.path().join("set-aside")), [format!("{name}.1")]);
        let mut list = crate::setup::program(&home);
        list.args(["list", "--json"]);
        let listed = json(&at_once(list, name));
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{name}: {listed}");
    }
}

#[test]
fn foreign_files_in_the_inbox_do_not_block_readers_supervisors_or_monitors() {
    let setup = Setup::new();
    let go = setup.scratch("go");
    let id = setup.launch(&format!("until [ -e {} ]; do sleep 0.01; done; exit 3", go.display())).id;
    assert_eq!(ids(&setup.homing.list(&ListOptions::default()).expect("a list")), [id]);
    let inbox = setup.home.path().join("inbox");
    let _ = fs::remove_file(inbox.join(id.as_str()));
    make_fifo(&inbox.join(id.as_str()));
    make_fifo(&inbox.join("aaaaaaaaaaaa"));
    fs::create_dir(inbox.join("bbbbbbbbbbbb")).expect("a directory");
    symlink("/etc/passwd", inbox.join("cccccccccccc")).expect("a link");
    fs::write(inbox.join("notes.txt"), "").expect("a file");

    fs::write(&go, "").expect("a file");
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Exited { exit_code: 3 });
    wait_until("its supervisor ends", || setup.home.processes().is_empty());
    assert_eq!(ids(&setup.homing.list(&ListOptions::default()).expect("a list")), [id]);
    assert_eq!(names_in(&inbox).len(), 5, "readers move nothing");

    let homing = std::sync::Arc::new(crate::setup::open(&setup.home, Duration::from_secs(10)));
    let monitor = homing.monitor(MonitorOptions::new().until(MonitorUntil::Idle)).expect("a monitor");
    monitor.run().expect("it ends by itself");
    assert_eq!(names_in(&inbox), [""; 0], "the monitor moves it");
    let aside = names_in(&setup.home.path().join("set-aside"));
    assert_eq!(aside.len(), 5, "{aside:?}");
    assert!(aside.contains(&"inbox-notes.txt.1".to_owned()), "{aside:?}");
}

#[test]
fn a_fifo_among_the_files_of_a_job_does_not_block() {
    for name in ["lock", "record", "spec.json", "output.log", "output.tail"] {
        let setup = Setup::new();
        let finished = setup.run("exit 1").id;
        let other = setup.run("exit 2").id;
        let path = setup.home.path().join("jobs").join(finished.as_str()).join(name);
        let _ = fs::remove_file(&path);
        make_fifo(&path);
        for args in [&["list"][..], &["show", finished.as_str()], &["output", finished.as_str()], &["doctor"]]
        {
            let mut command = setup.program();
            command.args(args);
            at_once(command, name);
        }
        let mut prune = setup.program();
        prune.args(["ack", finished.as_str(), other.as_str()]);
        at_once(prune, name);
        let mut fix = setup.program();
        fix.args(["doctor", "--fix"]);
        at_once(fix, name);
        assert_eq!(names_in(&setup.home.path().join("set-aside")), [format!("{finished}-{name}.1")]);
    }
}

#[test]
fn a_sparse_file_of_a_terabyte_is_not_read_completely() {
    let setup = Setup::new();
    let (output, spec) = (setup.run("echo hello").id, setup.run("echo hello").id);
    let sparse = |id: JobId, name: &str| {
        let path = setup.home.path().join("jobs").join(id.as_str()).join(name);
        let file = File::options().write(true).open(&path).expect("the file");
        file.set_len(1 << 40).is_ok()
    };
    if !sparse(output, "output.log") || !sparse(spec, "spec.json") {
        return testkit::skip("this file system has no files of a terabyte");
    }
    for args in [
        &["list"][..],
        &["result", output.as_str()],
        &["show", output.as_str(), "--json"],
        &["output", output.as_str(), "--raw"],
        &["show", spec.as_str()],
        &["doctor"],
    ] {
        let mut command = setup.program();
        command.args(args);
        let output = at_once(command, &args.join(" "));
        assert!(output.stdout.len() < 20 << 20, "{args:?}: {} bytes", output.stdout.len());
    }
}
