//! The shapes of JSON documents are contracts: golden files, with values that change between runs redacted.

use insta::assert_json_snapshot;
use serde_json::Value;

use crate::setup::Setup;

/// Fields whose values change between runs.
const CHANGING: [&str; 14] = [
    "id",
    "pid",
    "cwd",
    "created_at",
    "started_at",
    "ended_at",
    "duration_ms",
    "cpu_ms",
    "peak_memory_bytes",
    "detail",
    "next_attempt_at",
    "at",
    "wake",
    "took_ms",
];

/// Replaces the changing values of a document by their types.
pub(crate) fn steady(mut document: Value) -> Value {
    redact(&mut document);
    document
}

fn redact(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(redact),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::Number(_) if CHANGING.contains(&name.as_str()) => *value = "[number]".into(),
                    Value::String(_) if CHANGING.contains(&name.as_str()) => *value = "[text]".into(),
                    value => redact(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn running_job() {
    let setup = Setup::new();
    let answer =
        setup.run(&["run", "--json", "--name", "nap", "--timeout", "none", "--", "sleep", setup.home.mark()]);
    let mut job = answer.json();
    assert_eq!(job["command"], format!("sleep {}", setup.home.mark()));
    job["command"] = "[text]".into();
    job["argv"][1] = "[text]".into();
    let id = job["id"].as_str().unwrap().to_owned();
    assert_json_snapshot!(steady(job));
    setup.kill(&id);
}

#[test]
fn finished_job() {
    let setup = Setup::new();
    let id = setup.finished("echo out; exit 3");
    assert_json_snapshot!(steady(setup.job(&id)));
}

#[test]
fn every_kind_of_outcome() {
    let setup = Setup::new();
    let killed = setup.launch("sleep MARK");
    setup.kill(&killed);
    let mut ids = vec![
        setup.finished("exit 0"),
        setup.finished("kill -SEGV $$"),
        setup.finished_with(&["--timeout", "50ms"], "sleep MARK"),
        killed,
    ];
    let refused = setup.run(&["run", "/no/such/program", "argument"]);
    ids.push(refused.stdout.trim_end().to_owned());
    let outcomes: Vec<Value> = ids.iter().map(|id| setup.job(id)["outcome"].clone()).collect();
    assert_json_snapshot!(outcomes);
}

#[test]
fn lists_are_arrays() {
    let setup = Setup::new();
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n");
    assert_eq!(setup.run(&["follow-ups", "--json"]).stdout, "[]\n");
    let ids = [setup.finished("true"), setup.finished("true")];
    for verb in ["list", "follow-ups"] {
        let listed = setup.run(&[verb, "--json"]).json();
        let listed: Vec<&str> =
            listed.as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap()).collect();
        assert_eq!(listed, [&ids[1], &ids[0]], "newest first");
    }
}

#[test]
fn one_job_is_a_document_and_several_are_an_array() {
    let setup = Setup::new();
    let (one, other) = (setup.finished("true"), setup.finished("true"));
    for verb in ["wait", "kill", "ack", "retry", "drop"] {
        assert_eq!(setup.run(&[verb, &one, "--json"]).json()["id"], one.as_str());
        let both = setup.run(&[verb, &one, &other, "--json"]).json();
        assert_eq!((&both[0]["id"], &both[1]["id"]), (&one.clone().into(), &other.clone().into()), "{verb}");
        // A job named twice is still one job.
        assert_eq!(setup.run(&[verb, &one, &one, "--json"]).json()["id"], one.as_str());
    }
}

#[test]
fn result_document() {
    let setup = Setup::new();
    let id = setup.finished("echo out");
    let mut document = setup.run(&["result", &id, "--json"]).json();
    assert!(document["text"].as_str().unwrap().starts_with(&format!("Background job {id} succeeded")));
    document["text"] = "[text]".into();
    assert_json_snapshot!(steady(document));
}

#[test]
fn error_document() {
    let setup = Setup::new();
    let unknown = setup.run(&["show", "0123", "--json"]);
    assert_eq!((unknown.status, unknown.stderr.as_str()), (Some(3), ""));
    assert_json_snapshot!(unknown.json());
    let misused = setup.run(&["wait", "--json", "--no-such-option"]);
    assert_eq!((misused.status, misused.stderr.as_str()), (Some(2), ""));
    assert_json_snapshot!(misused.json());
}

#[test]
fn prune_document() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--follow-up", "never"], "true");
    let document = setup.run(&["prune", "--older-than", "0s", "--json"]).json();
    let expected = serde_json::json!({
        "removed": [id], "kept_running": [], "failed": [], "expired": 0, "dry_run": false
    });
    assert_eq!(document, expected);
}

#[test]
fn doctor_document() {
    let document = Setup::new().run(&["doctor", "--json"]).json();
    let home = document.as_array().unwrap().iter().find(|check| check["name"] == "home").unwrap().clone();
    assert_json_snapshot!(steady(home));
}
