//! Clocks that jump, machines that reboot, pids that are reused.

use std::fs;
use std::process::Command;
use std::time::Duration;

use homing::core::LostReason;
use homing::{Outcome, Timeout};
use testkit::{skip, wait_until};

use crate::setup::{PROGRAM, Setup, is_root, kill_9, outcome, stdout};

/// A day, in milliseconds, as the fault tests inject it.
const DAY_MS: i64 = 86_400_000;

#[test]
fn limits_and_durations_ignore_a_jump_of_the_wall_clock() {
    for jump in [DAY_MS, -DAY_MS] {
        let setup = Setup::new();
        let spec = setup
            .script("exec sleep MARK")
            .timeout(Timeout::After(Duration::from_millis(500)))
            // The start uses the true clock, everything later the clock that jumped.
            .env("FAILPOINTS", format!("wall_clock=1*return(0)->return({jump})"));
        let job = setup.end_of(setup.launch_spec(spec).id);
        assert_eq!(outcome(&job), &Outcome::TimedOut);
        let finished = job.state.finished().expect("it has finished");
        let duration = finished.duration.expect("it is known");
        assert!((Duration::from_millis(500)..Duration::from_secs(60)).contains(&duration), "{duration:?}");
        let started = finished.started.expect("it ran").started_at.as_unix_millis();
        let on_the_wall = finished.ended_at.as_unix_millis() - started;
        assert!((on_the_wall - jump).abs() < DAY_MS / 2, "the jump was seen on the wall: {on_the_wall}");
    }
}

#[test]
fn the_order_of_jobs_ignores_a_jump_of_the_wall_clock() {
    let setup = Setup::new();
    let launch = |jump: i64| {
        let mut run = setup.program();
        run.args(["run", "true"]).env("FAILPOINTS", format!("wall_clock=return({jump})"));
        stdout(&run.output().expect("the program runs"))
    };
    let mut ids: Vec<String> = [0, -DAY_MS, DAY_MS, 0].map(launch).into();
    let jobs = setup.homing.list(&homing::ListOptions::default()).expect("a list");
    let listed: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
    ids.reverse();
    assert_eq!(listed, ids, "newest first");
}

#[test]
fn after_a_reboot_jobs_are_lost_and_nothing_is_signalled() {
    let setup = Setup::new();
    let id = setup.launch("setsid sleep MARK & wait").id;
    let sleeper = setup.wait_for_marked(1).remove(0);
    // As after a reboot, the lock is not held. The process that runs now only looks like a process of the job.
    let supervisor = setup.supervisor(id).pid;
    kill_9(supervisor);
    wait_until("the supervisor is gone", || !fs::exists(format!("/proc/{supervisor}/exe")).unwrap_or(false));

    let list = setup.program().args(["list", "--json"]).env("FAILPOINTS", "boot_id=return(another)").output();
    let list = stdout(&list.expect("the program runs"));
    assert!(list.contains(r#""outcome":{"kind":"lost","reason":"reboot"}"#), "{list}");
    // By its pid: its name may still have been `setsid` at first.
    let alive: Vec<u32> = setup.home.marked().iter().map(|process| process.pid).collect();
    assert_eq!(alive, [sleeper.pid], "it was not signalled");
    assert_eq!(outcome(&setup.end_of(id)), &Outcome::Lost { reason: LostReason::Reboot });
    kill_9(sleeper.pid);
}

/// Runs in its own pid namespace: the supervisor of a job dies, an unrelated process gets the pid of the job, and a
/// front end observes the job.
const REUSE: &str = r#"
set -eu
id=$("$PROGRAM" run 'exec sleep MARK')
pid=$("$PROGRAM" show "$id" --json | sed 's/.*"pid":\([0-9]*\).*/\1/')
supervisor=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$pid/stat")
kill -9 "$supervisor"
while [ -e "/proc/$pid/exe" ] && [ "$(sed 's/.*) \(.\) .*/\1/' "/proc/$pid/stat")" != Z ]; do :; done
# The next process gets the number after this one, once it is free.
for attempt in $(seq 100); do
    echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid
    sleep MARK &
    stranger=$!
    [ "$stranger" = "$pid" ] && break
    kill -9 "$stranger"; wait "$stranger" || true
done
[ "$stranger" = "$pid" ] || { echo "pid was not reused"; exit 0; }
"$PROGRAM" show "$id" --json
kill -0 "$stranger" && echo "stranger lives"
kill -9 "$stranger"
"#;

#[test]
fn an_unrelated_process_with_a_reused_pid_is_never_signalled() {
    if !is_root() {
        return skip("making a pid namespace needs root");
    }
    let setup = Setup::new();
    let script = REUSE.replace("MARK", setup.home.mark());
    let mut namespace = Command::new("unshare");
    namespace.args(["--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", &script]);
    namespace.env("PROGRAM", PROGRAM).env("HOMING_HOME", setup.home.path());
    let output = namespace.output().expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("pid was not reused") || !output.status.success() && text.is_empty() {
        return skip(&format!("no pid could be reused: {output:?}"));
    }
    assert!(text.contains(r#""reason":"supervisor_died""#), "{output:#?}");
    assert!(text.contains("stranger lives"), "{output:#?}");
}

#[test]
fn a_damaged_record_never_yields_a_wrong_outcome() {
    for (name, damage) in [
        ("cut", Box::new(|bytes: &mut Vec<u8>| bytes.truncate(1600)) as Box<dyn Fn(&mut Vec<u8>)>),
        ("emptied", Box::new(Vec::clear)),
        ("one digit of the exit code", Box::new(|bytes: &mut Vec<u8>| flip(bytes, b"\"exit_code\":"))),
        ("the checksum", Box::new(|bytes: &mut Vec<u8>| bytes[1536 + 12] ^= 1)),
    ] {
        let setup = Setup::new();
        let id = setup.launch("exit 4").id;
        let record = setup.home.path().join("jobs").join(id.as_str()).join("record");
        wait_until("the supervisor is done", || setup.home.processes().is_empty());
        // Before any front end has observed it.
        let mut bytes = fs::read(&record).expect("a record");
        damage(&mut bytes);
        fs::write(&record, bytes).expect("it can be damaged");
        let output =
            setup.program().args(["list", "--json"]).env("FAILPOINTS", "start_grace=return(0)").output();
        let list = stdout(&output.expect("the program runs"));
        assert!(list.contains(r#""kind":"lost""#), "{name}: {list}");
    }
}

/// Changes the byte after `needle`.
fn flip(bytes: &mut [u8], needle: &[u8]) {
    let place = bytes.windows(needle.len()).position(|window| window == needle).expect("it is there");
    bytes[place + needle.len()] ^= 1;
}
