//! `examples/webhook_receiver.py` against the sink: an independent implementation of the specification verifies our
//! requests.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::tests::{WAIT_TIMEOUT, secret_file, sink_with, wake};
use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn the_example_accepts_genuine_wakes_once_and_refuses_others() {
    let Some(packages) = python_packages() else { return };
    let folder = tempfile::tempdir().unwrap();
    let genuine = secret_file(&folder, &format!("# rotated\n{SECRET}\n"), 0o600);
    let receiver = Receiver::start(&packages, &genuine);
    let sink = sink_with(&receiver.url, Some(genuine), WAIT_TIMEOUT).unwrap();
    assert_eq!(sink.deliver(&wake()), Delivery::Delivered);
    // As after a lost answer: accepted, and shown once.
    assert_eq!(sink.deliver(&Wake { attempt: 2, ..wake() }), Delivery::Delivered);

    let folder = tempfile::tempdir().unwrap();
    let forged = secret_file(&folder, &format!("whsec_{}\n", "A".repeat(32)), 0o600);
    for secret_file in [None, Some(forged)] {
        let sink = sink_with(&receiver.url, secret_file, WAIT_TIMEOUT).unwrap();
        assert_eq!(sink.deliver(&wake()), Delivery::Failed { error: "HTTP 401".to_owned() });
    }
    let elsewhere = sink_with(&receiver.url.replace("/wake", "/"), None, WAIT_TIMEOUT).unwrap();
    assert_eq!(elsewhere.deliver(&wake()), Delivery::Gone { reason: "HTTP 404".to_owned() });

    let shown = format!("--- {} for session chat-1, attempt 1\ncaf\u{e9} is \"done\"\n\n", wake().id);
    assert_eq!(receiver.stop_and_read(), shown);
}

/// The running example.
struct Receiver {
    process: Child,
    output: BufReader<std::process::ChildStdout>,
    url: String,
}

impl Receiver {
    fn start(packages: &Path, secret_file: &Path) -> Receiver {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/webhook_receiver.py");
        let mut process = Command::new("python3")
            .arg(example)
            .args(["--port", "0", "--secret-file"])
            .arg(secret_file)
            .env("PYTHONPATH", packages)
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut receiver = Receiver { process, output, url: String::new() };
        let mut line = String::new();
        receiver.output.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").expect("the receiver says where it listens");
        receiver.url = url.to_owned();
        receiver
    }

    fn stop_and_read(mut self) -> String {
        self.process.kill().unwrap();
        let mut text = String::new();
        self.output.read_to_string(&mut text).unwrap();
        text
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A directory with the Python package `standardwebhooks`, cached beside the build. Prints a line and returns `None`
/// if it is not available.
fn python_packages() -> Option<std::path::PathBuf> {
    let build = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let packages = build.join("python-standardwebhooks");
    if !packages.exists() {
        let unfinished = tempfile::tempdir_in(&build).unwrap();
        let installed = Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "0"])
            .args(["--target".as_ref(), unfinished.path().as_os_str(), "standardwebhooks==1.*".as_ref()])
            .stdin(Stdio::null())
            .output();
        match installed {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                println!(
                    "skipped: pip cannot install standardwebhooks: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
                return None;
            }
            Err(error) => {
                println!("skipped: python3 not found: {error}");
                return None;
            }
        }
        // Another run may have been faster.
        if std::fs::rename(unfinished.path(), &packages).is_ok() {
            drop(unfinished.keep());
        }
    }
    Some(packages)
}
