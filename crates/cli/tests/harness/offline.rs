//! A network of the test's own, in which a harness can reach nothing but the scripted model.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::getuid;

/// Set where the test already is in its own network.
const INSIDE: &str = "HOMING_TEST_OFFLINE";

/// Runs a test's body in a network namespace of its own, by running that one test again inside. `test` is its full
/// name.
pub(crate) fn offline(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let probe = namespace().args(["true"]).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return skip(
            "there can be no network namespace here (unshare and ip are needed, and the right to use them)",
        );
    }
    let this = std::env::current_exe().expect("the test has a path");
    let again = namespace().arg(this).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output();
    let again = again.expect("it runs");
    let said = [again.stdout, again.stderr].concat();
    let _ = std::io::stderr().write_all(&said);
    assert!(again.status.success(), "the test failed inside its network namespace; its output is above");
    assert!(String::from_utf8_lossy(&said).contains("1 passed"), "there is no test {test}");
}

/// Says why a test does not run. Straight to standard error: what passes is not shown otherwise.
pub(crate) fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// Starts what is added to it in a new network namespace with a loopback that is up.
fn namespace() -> Command {
    let mut command = Command::new("unshare");
    command.arg(if getuid().is_root() { "-n" } else { "-rn" });
    command.args(["sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""]).stdin(Stdio::null());
    command
}
