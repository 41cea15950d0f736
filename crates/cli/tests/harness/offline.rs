//! A network namespace for a test, in which a harness can reach only the scripted model.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::getuid;
use testkit::skip;

/// Set inside the network namespace.
const INSIDE: &str = "HOMING_TEST_OFFLINE";

/// Runs the body of a test in its own network namespace, by running that one test again inside. `test` is its full
/// name.
pub(crate) fn offline(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let probe = namespace().args(["true"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return skip(
            "cannot create a network namespace (this needs unshare, ip and the permission to use them)",
        );
    }
    let this = std::env::current_exe().expect("the test has a path");
    let again = namespace().arg(this).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output();
    let again = again.expect("it runs");
    let output = [again.stdout, again.stderr].concat();
    let _ = std::io::stderr().write_all(&output);
    assert!(again.status.success(), "the test failed inside its network namespace; its output is above");
    assert!(String::from_utf8_lossy(&output).contains("1 passed"), "there is no test {test}");
}

/// A command that runs its arguments in a new network namespace with an active loopback interface.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg(if getuid().is_root() { "-n" } else { "-rn" });
    command.args(["sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).stdin(Stdio::null());
    command
}
