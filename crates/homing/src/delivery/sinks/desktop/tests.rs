//! The desktop sink against a notification service of the test's own, on a private D-Bus.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};

use homing_core::{JobDocuments, Timestamp, WakeContent, WakeId};
use serde_json::json;
use zbus::OwnedVariant;
use zbus::block_on;
use zbus::connection::Builder;

use super::notice::Notice;
use super::*;

const SERVICE: &str = "org.freedesktop.Notifications";
const OBJECT: &str = "/org/freedesktop/Notifications";

/// The timeout of one attempt of [`deliver_twice`], in milliseconds.
const TIMEOUT_VARIABLE: &str = "HOMING_TEST_TIMEOUT_MS";

/// Timeout of every wait in these tests.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

fn wake(jobs: &[serde_json::Value]) -> Wake {
    let ids = jobs.iter().map(|_| "0123456789ab".parse().unwrap()).collect();
    let jobs = JobDocuments::from_json(serde_json::to_string(jobs).unwrap()).unwrap();
    Wake {
        id: WakeId::new(Timestamp::from_unix_millis(0), [0; 10]),
        session: "chat-1".parse().unwrap(),
        attempt: 1,
        created_at: Timestamp::from_unix_millis(0),
        content: WakeContent { text: String::new(), job_ids: ids, jobs },
    }
}

fn two_jobs() -> Wake {
    wake(&[
        json!({"name": null, "command": "grep -c '<b>' a && b", "outcome": {"kind": "exited", "exit_code": 1}}),
        json!({"name": "docs", "command": "make docs", "outcome": {"kind": "exited", "exit_code": 0}}),
    ])
}

#[test]
fn a_notice_counts_the_jobs_and_names_the_first() {
    assert_eq!(
        Notice::of(&two_jobs()),
        Notice {
            title: "homing: 2 jobs finished, 1 failed".to_owned(),
            body: "grep -c '&lt;b&gt;' a &amp;&amp; b: exit code 1\ndocs: exit code 0\nSession chat-1"
                .to_owned(),
        }
    );
    let killed = json!({"name": null, "command": "x", "outcome": {"kind": "timed_out"}});
    assert_eq!(Notice::of(&wake(&[killed])).title, "homing: 1 job failed");
    assert_eq!(Notice::of(&wake(&[])).title, "homing: a test notice");
}

#[test]
fn a_notice_is_short_whatever_the_jobs_are_called() {
    let job = json!({
        "name": "\u{1b}[31m<".to_owned() + &"\u{1f980}".repeat(5_000) + "\nsecond line",
        "command": "x", "outcome": {"kind": "failed_to_start", "error": "y".repeat(5_000), "errno": 2},
    });
    let notice = Notice::of(&wake(&vec![job; 50]));
    assert_eq!(notice.title, "homing: 50 jobs finished, 50 failed");
    assert_eq!(notice.body.lines().count(), 7);
    assert!(
        notice.body.contains("… and 45 more\n") && notice.body.chars().count() < 1_000,
        "{}",
        notice.body
    );
    assert!(!notice.body.contains('\u{1b}') && !notice.body.contains('<'));
}

#[test]
fn the_service_gets_the_notice() {
    let Some(bus) = PrivateBus::start() else { return };
    let (sender, shown) = channel();
    let service = Builder::address(bus.address.as_str()).name(SERVICE);
    let service = service.serve_at(OBJECT, FakeService { shown: sender });
    let _service = block_on(service.build()).unwrap();
    assert_eq!(deliveries_on(&bus.address, WAIT_TIMEOUT), ["Delivered", "Delivered"]);
    let expected = Notice::of(&two_jobs());
    for _ in 0..2 {
        let shown: Shown = shown.recv_timeout(WAIT_TIMEOUT).unwrap();
        assert_eq!((shown.app, shown.urgency), ("homing".to_owned(), Some(1)));
        assert_eq!(Notice { title: shown.title, body: shown.body }, expected);
    }
}

#[test]
fn without_a_service_the_attempt_fails() {
    let Some(bus) = PrivateBus::start() else { return };
    for delivery in deliveries_on(&bus.address, WAIT_TIMEOUT) {
        assert!(delivery.starts_with("Failed { error: \"cannot show a desktop notice: "), "{delivery}");
        assert!(delivery.contains(SERVICE), "{delivery}");
    }
}

#[test]
fn without_a_bus_the_attempt_fails() {
    let folder = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}", folder.path().join("bus").display());
    for delivery in deliveries_on(&address, WAIT_TIMEOUT) {
        assert!(delivery.starts_with("Failed { error: \"cannot show a desktop notice: "), "{delivery}");
        assert!(delivery.contains("No such file"), "{delivery}");
    }
}

#[test]
fn a_service_that_never_answers_costs_one_timeout_and_one_thread() {
    let Some(bus) = PrivateBus::start() else { return };
    // Owns the name, and never reads a message.
    let silent = Builder::address(bus.address.as_str()).name(SERVICE);
    let _silent = block_on(silent.build()).unwrap();
    let deliveries = deliveries_on(&bus.address, Duration::from_millis(500));
    assert!(
        deliveries[0].contains("no answer from the desktop's notification service within "),
        "{deliveries:?}"
    );
    assert!(deliveries[1].contains("has not answered an earlier notice yet"), "{deliveries:?}");
}

/// Delivers twice in a separate process, because the environment names the bus.
fn deliveries_on(address: &str, timeout: Duration) -> Vec<String> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "delivery::sinks::desktop::tests::deliver_twice",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("DBUS_SESSION_BUS_ADDRESS", address)
        .env(TIMEOUT_VARIABLE, timeout.as_millis().to_string())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let deliveries: Vec<String> = text
        .lines()
        .filter_map(|line| line.split_once("delivery: "))
        .map(|(_, output)| output.to_owned())
        .collect();
    assert_eq!(deliveries.len(), 2, "{text}");
    deliveries
}

#[test]
#[ignore = "shows notices on the bus of the environment: the other tests run it on their own"]
fn deliver_twice() {
    let timeout = std::env::var(TIMEOUT_VARIABLE).unwrap().parse().unwrap();
    let sink = DesktopSink::new(Duration::from_millis(timeout));
    for _ in 0..2 {
        println!("delivery: {:?}", sink.deliver(&two_jobs()));
    }
}

/// A notification that a service received.
struct Shown {
    app: String,
    title: String,
    body: String,
    urgency: Option<u8>,
}

struct FakeService {
    shown: Sender<Shown>,
}

#[zbus::interface(name = "org.freedesktop.Notifications")]
impl FakeService {
    #[allow(clippy::too_many_arguments, reason = "the specification's")]
    fn notify(
        &self,
        app: String,
        _replaces: u32,
        _icon: String,
        title: String,
        body: String,
        _actions: Vec<String>,
        hints: std::collections::HashMap<String, OwnedVariant>,
        _expires: i32,
    ) -> u32 {
        let urgency = hints.get("urgency").and_then(|value| u8::try_from(value).ok());
        let _ = self.shown.send(Shown { app, title, body, urgency });
        1
    }
}

/// A private bus.
struct PrivateBus {
    address: String,
    daemon: Child,
    _folder: tempfile::TempDir,
}

impl PrivateBus {
    /// Prints a line and returns `None` if no bus can be started.
    fn start() -> Option<PrivateBus> {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("bus.conf");
        let socket = folder.path().join("bus");
        let text = format!(
            "<busconfig><type>session</type><listen>unix:path={}</listen><policy context=\"default\">\
             <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--print-address").arg("--config-file").arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut daemon) = command.spawn() else {
            println!("skipped: dbus-daemon not found");
            return None;
        };
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let bus = PrivateBus { address: address.trim().to_owned(), daemon, _folder: folder };
        assert!(bus.address.starts_with("unix:path="), "{:?}", bus.address);
        Some(bus)
    }
}

impl Drop for PrivateBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
