//! `homing events`: the log of what happened, as a table and as documents.

use insta::assert_json_snapshot;
use serde_json::Value;
use testkit::wait_until;

use crate::documents::steady;
use crate::setup::{Running, Setup};

/// The documents of a run with `--json`: one per line.
fn documents(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).expect("a document")).collect()
}

fn types(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a type")).collect()
}

const OF_ONE_JOB: [&str; 4] = ["job.seen", "job.started", "job.finished", "follow_up.pending"];

/// Replaces what changes between runs.
fn redacted(event: &Value) -> Value {
    let mut event = steady(event.clone());
    for field in ["cursor", "occurred_at", "recorded_at", "job"] {
        assert!(event[field].is_string(), "{event}");
        event[field] = "[text]".into();
    }
    if event["actor"]["uid"].is_number() {
        event["actor"]["uid"] = "[number]".into();
    }
    event
}

#[test]
fn events_are_documents() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", "chat-1", "--name", "nightly"], "exit 3");
    setup.run_as("chat-1", &["ack", &id]);
    let answer = setup.run(&["events", "--json"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""));
    let events = documents(&answer.stdout);
    assert!(events.iter().all(|event| event["job"] == id.as_str()), "{events:#?}");
    let redacted: Vec<Value> = events.iter().map(redacted).collect();
    assert_json_snapshot!(redacted);
}

/// Checks types, required fields and names of fields, as far as the schema of events uses them.
fn check(schema: &Value, value: &Value, place: &str) {
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let allowed = &schema["type"];
    let is_allowed =
        allowed == name || allowed.as_array().is_some_and(|names| names.iter().any(|one| one == name));
    assert!(is_allowed, "{place} is {name}, and may be {allowed}");
    if let Some(constant) = schema.get("const") {
        assert_eq!(value, constant, "{place}");
    }
    let Some(fields) = value.as_object() else { return };
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(fields.contains_key(required.as_str().expect("a name")), "{place} has no {required}");
    }
    // An outcome has more fields, which homing.job/1 describes.
    let known = schema["properties"].as_object().expect("properties");
    for (field, value) in fields.iter().filter(|_| !place.ends_with(".outcome")) {
        let schema = known.get(field).unwrap_or_else(|| panic!("{place}.{field} is not described"));
        check(schema, value, &format!("{place}.{field}"));
    }
}

#[test]
fn documents_follow_the_published_schema() {
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/json/homing.event-1.schema.json");
    let schema = std::fs::read_to_string(schema).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let setup = Setup::new();
    setup.finished_with(&["--session", "chat-1"], "exit 3");
    assert_eq!(setup.run(&["monitor", "--once", "--command", "false"]).status, Some(0));
    let events = documents(&setup.run(&["events", "--json", "-n", "0"]).stdout);
    events.iter().for_each(|event| check(&schema, event, event["type"].as_str().expect("a type")));
    let seen = types(&events);
    for kind in ["job.finished", "follow_up.pending", "wake.in_flight", "wake.scheduled", "monitor.ended"] {
        assert!(seen.contains(&kind), "{seen:?}");
    }
}

#[test]
fn a_table_names_time_job_session_actor_and_event() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", "chat-1"], "exit 3");
    let answer = setup.run(&["events"]);
    let rows: Vec<Vec<&str>> = answer.stdout.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["TIME", "JOB", "SESSION", "ACTOR", "EVENT"]);
    let (job, session): (Vec<&str>, Vec<&str>) = rows[1..].iter().map(|row| (row[1], row[2])).unzip();
    assert_eq!((job, session), (vec![id.as_str(); 4], vec!["chat-1"; 4]));
    let event: Vec<&str> = rows[1..].iter().map(|row| row[4]).collect();
    let expected =
        ["job.seen", "job.started", "job.finished: exit code 3", "follow_up.pending (was waiting)"];
    assert_eq!(event, expected);
    assert!(rows[1][3].starts_with("session, session chat-1, uid "), "{}", rows[1][3]);
    assert!(rows[2][3].starts_with("supervisor, uid "), "{}", rows[2][3]);
    assert!(rows[1][0].ends_with('Z') && rows[1][0].contains('T'), "complete, and UTC: {}", rows[1][0]);
}

#[test]
fn hostile_texts_cannot_change_the_table() {
    let setup = Setup::new();
    let error = "\\u001b[31mred\\u001b[0m\\r\\nhoming: error: gone\\u202e";
    setup.configure(&format!(
        "monitor.autostart = false\nmonitor.retries = []\n[sinks.\"a\\tb\\u001b[2J\"]\n\
         command = [\"printf\", \"{error}\"]\n[sinks.app]\n\
         command = [\"sh\", \"-c\", \"printf '\\\\033[31mred\\\\n\\\\thoming: error: gone' >&2; exit 3\"]\n\
         [[routes]]\nsink = \"app\"\n"
    ));
    setup.finished_with(&["--session", "chat \u{202e}1"], "true");
    assert_eq!(setup.run(&["monitor", "--once"]).status, Some(0));
    for arguments in [&["events", "--all-sessions"][..], &["events", "--all-sessions", "-n", "0"]] {
        let answer = setup.run(arguments);
        let clean = |c: char| c == '\n' || c == '\t' || !(c.is_control() || c == '\u{202e}');
        assert!(answer.stdout.chars().all(clean), "{answer:?}");
        let rows: Vec<&str> = answer.stdout.lines().collect();
        assert!(rows.iter().all(|row| row.matches('\t').count() == 4), "{answer:?}");
        let dead = rows.iter().find(|row| row.contains("wake.dead")).expect("the wake is dead");
        assert!(dead.contains("wake.dead (app, attempt 1): ") && dead.contains("red"), "{dead}");
    }
}

#[test]
fn a_session_sees_its_own_events() {
    let setup = Setup::new();
    let own = setup.finished_with(&["--session", "chat-1"], "true");
    let other = setup.finished_with(&["--session", "chat-2"], "true");
    assert_eq!(setup.run(&["monitor", "--once"]).status, Some(0));
    let seen_by = |answer: crate::setup::Answer| {
        let events = documents(&answer.stdout);
        let mut jobs: Vec<String> =
            events.iter().map(|event| event["job"].as_str().unwrap_or("none").to_owned()).collect();
        jobs.dedup();
        jobs.sort();
        jobs.dedup();
        jobs
    };
    assert_eq!(seen_by(setup.run_as("chat-1", &["events", "--json"])), [own.as_str()]);
    assert_eq!(seen_by(setup.run(&["events", "--session", "chat-2", "--json"])), [other.as_str()]);
    let mut all = vec![own, other, "none".to_owned()];
    all.sort();
    assert_eq!(seen_by(setup.run(&["events", "--json"])), all, "with those of the monitor");
    assert_eq!(seen_by(setup.run_as("chat-1", &["events", "--all-sessions", "--json"])), all);
}

#[test]
fn a_cursor_continues_and_a_limit_says_so() {
    let setup = Setup::new();
    setup.finished("true");
    let events = documents(&setup.run(&["events", "--json"]).stdout);
    assert_eq!(types(&events), OF_ONE_JOB);
    let cursor = |at: usize| events[at]["cursor"].as_str().expect("a cursor");
    let since = setup.run(&["events", "--json", "--since", cursor(1)]);
    assert_eq!(documents(&since.stdout), events[2..]);
    assert_eq!(setup.run(&["events", "--json", "--since", cursor(3)]).stdout, "");
    assert_eq!(documents(&setup.run(&["events", "--json", "--since", "oldest"]).stdout), events);
    let newest = setup.run(&["events", "-n", "1"]);
    assert!(newest.stdout.lines().nth(1).expect("a row").ends_with("follow_up.pending (was waiting)"));
    assert_eq!(newest.stderr, "homing: note: showing the newest 1; use -n 0 to show all\n");
    let limited = setup.run(&["events", "--since", "oldest", "-n", "3"]);
    assert_eq!(limited.stdout.lines().count(), 4);
    assert_eq!(
        limited.stderr,
        format!("homing: note: more events follow; continue with --since {}\n", cursor(2))
    );
}

#[test]
fn an_unknown_cursor_is_announced() {
    let setup = Setup::new();
    setup.finished("true");
    let events = documents(&setup.run(&["events", "--json"]).stdout);
    let unknown = "00000000.7";
    let answer = setup.run(&["events", "--json", "--since", unknown]);
    let lines = documents(&answer.stdout);
    assert_eq!(lines[0], serde_json::json!({"schema": "homing.truncated/1", "since": unknown}));
    assert_eq!(lines[1..], events[..]);
    let answer = setup.run(&["events", "--since", unknown]);
    assert!(answer.stderr.starts_with("homing: note: events after 00000000.7 are missing: "), "{answer:?}");
    assert_eq!(answer.stdout.lines().count(), 5);
    let malformed = setup.run(&["events", "--since", "yesterday"]);
    assert_eq!(malformed.status, Some(2), "{malformed:?}");
    assert!(malformed.stderr.contains("\"yesterday\" is not a cursor of events"), "{malformed:?}");
}

#[test]
fn a_home_without_events_says_so() {
    let setup = Setup::new();
    let answer = setup.run(&["events"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(0), ""));
    assert_eq!(answer.stderr, "homing: no events to show\n");
    assert!(!setup.home.path().exists());
    assert_eq!(setup.run(&["events", "--json"]).stderr, "");
}

#[test]
fn following_prints_events_as_they_are_recorded_and_needs_no_monitor() {
    let setup = Setup::new();
    setup.finished("true");
    let mut following = Running::start(setup.command(&["events", "--follow", "--json", "-n", "1"]));
    following.read_until("\"from\":\"waiting\"}\n");
    let id = setup.launch("exit 3");
    following.read_until("\"outcome\":{\"kind\":\"exited\",\"exit_code\":3}}\n");
    following.read_until("\"from\":\"waiting\"}\n");
    setup.run(&["ack", &id]);
    following.read_until("\"from\":\"pending\"}\n");
    following.send(rustix::process::Signal::TERM);
    following.end();
}

#[test]
fn a_follower_sleeps_while_nothing_happens_and_ends_with_its_reader() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    let mut following = Running::start(setup.command(&["events", "--follow", "-n", "5"]));
    following.read_until("job.started\n");
    let status = format!("/proc/{}/status", following.pid());
    let wake_ups = || {
        let status = std::fs::read_to_string(&status).expect("it runs");
        status.lines().find(|line| line.starts_with("voluntary_ctxt_switches")).map(str::to_owned)
    };
    let sleeps_for = |time: std::time::Duration| {
        let before = wake_ups();
        std::thread::sleep(time);
        before == wake_ups()
    };
    wait_until("it is up to date", || sleeps_for(std::time::Duration::from_millis(100)));
    assert!(sleeps_for(std::time::Duration::from_secs(1)), "it woke up");
    following.close_stdout();
    let answer = following.end();
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    setup.kill(&id);
}
