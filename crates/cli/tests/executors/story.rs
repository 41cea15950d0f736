//! What works: launch, end, output, result, kill, and the checks.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use crate::machines::{Machines, json};

#[test]
fn a_job_on_another_machine_is_launched_waited_for_and_acknowledged() {
    let machines = Machines::new();
    let id = machines.launch("echo from $PWD; exit 3");
    let waited = machines.run(&["wait", &id]);
    assert_eq!(waited.status.code(), Some(3));
    let job = machines.job(&id);
    assert_eq!((&job["executor"], &job["cwd"]), (&"box".into(), &"~".into()));
    assert_eq!(job["outcome"]["exit_code"], 3);
    let there = machines.network.join("there/user");
    assert_eq!(machines.stdout(&["output", &id]), format!("from {}\n", there.display()));
    assert!(machines.stdout(&["result", &id]).contains("from "));
    assert_eq!(machines.job(&id)["follow_up"]["state"], "acknowledged");
    // There it is an ordinary job, which nobody is notified of.
    let there = json(&machines.there(&["show", &id, "--json"]));
    assert_eq!((&there["id"], &there["state"]), (&job["id"], &"finished".into()));
    assert_eq!((&there["executor"], &there["follow_up_policy"]), (&().into(), &"never".into()));
    assert_eq!(machines.events(&id)[..3], ["job.seen", "job.started", "job.finished"]);
}

#[test]
fn the_wait_of_a_launch_streams_the_output_and_has_the_status_of_the_job() {
    let machines = Machines::new();
    let run = machines.run(&["run", "--on", "box", "--wait", "echo one; echo two >&2; exit 4"]);
    assert_eq!((run.status.code(), String::from_utf8_lossy(&run.stdout).as_ref()), (Some(4), "one\ntwo\n"));
}

#[test]
fn arguments_variables_and_directory_arrive_exactly_and_values_are_not_stored() {
    let machines = Machines::new();
    fs::create_dir(machines.network.join("there/user/it's here")).expect("a folder");
    let run = ["run", "--on", "box", "--env", "TOKEN=s3cr3t-value", "--cwd", "~/it's here", "--wait", "--"];
    let command =
        ["sh", "-c", "printf '%s|' \"$PWD\" \"$TOKEN\" \"$@\"", "sh", "a b", "$HOME", "it's", "\"", "ü\n"];
    let output = machines.stdout(&[&run[..], &command].concat());
    let directory = machines.network.join("there/user/it's here");
    assert_eq!(output, format!("{}|s3cr3t-value|a b|$HOME|it's|\"|ü\n|", directory.display()));
    let stored = std::process::Command::new("grep")
        .args(["-r", "s3cr3t-value"])
        .args([machines.home.path().join("jobs"), machines.home_there().join("jobs")])
        .output()
        .expect("grep starts");
    let found = String::from_utf8_lossy(&stored.stdout);
    assert!(found.lines().all(|line| line.contains("output.log")), "{found}");
}

#[test]
fn output_is_read_while_the_job_runs_and_is_the_same_at_its_end() {
    let machines = Machines::new();
    let go = machines.home.scratch().join("go");
    // More than is kept, so that the middle is overwritten.
    let id = machines.launch(&format!(
        "echo early; until [ -e {} ]; do sleep 0.01; done; seq 1200000; echo late",
        go.display()
    ));
    testkit::wait_until("its output is there", || machines.stdout(&["output", &id]) == "early\n");
    fs::write(go, "").expect("a file");
    let job = machines.finished(&id);
    let there = json(&machines.there(&["show", &id, "--json"]));
    assert_eq!(job["output"], there["output"]);
    assert!(job["output"]["omitted_bytes"].as_u64() > Some(0), "{job}");
    assert_eq!(machines.stdout(&["output", &id]), machines.there(&["output", &id]));
}

#[test]
fn a_job_is_killed_there_with_its_processes() {
    let machines = Machines::new();
    let mark = machines.home.mark().to_owned();
    let id = machines.launch(&format!("sleep {mark} & exec sleep {mark}"));
    let killed = machines.run(&["kill", &id]);
    assert!(killed.status.success(), "{}", String::from_utf8_lossy(&killed.stderr));
    assert_eq!(machines.job(&id)["outcome"]["kind"], "killed");
    assert!(machines.home.marked().is_empty());
}

#[test]
fn a_launch_with_a_key_is_the_same_job_and_another_executor_is_another_request() {
    let machines = Machines::new();
    machines.configure("[executors.box]\nssh = \"me@box\"\n[executors.other]\nssh = \"me@box\"\n");
    let run = |executor: &str| machines.run(&["run", "--on", executor, "--key", "k", "true"]);
    let [first, second] = [run("box"), run("box")];
    assert_eq!(first.stdout, second.stdout);
    let other = run("other");
    assert!(!other.status.success());
    assert!(String::from_utf8_lossy(&other.stderr).contains("different executor"), "{other:?}");
    machines.finished(String::from_utf8_lossy(&first.stdout).trim());
}

#[test]
fn a_program_that_is_missing_there_fails_to_start() {
    let machines = Machines::new();
    let run = machines.run(&["run", "--on", "box", "--", "no-such-program", "argument"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("did not start"), "{run:?}");
    let job = machines.finished(String::from_utf8_lossy(&run.stdout).trim());
    assert_eq!(job["outcome"]["kind"], "failed_to_start");
}

#[test]
fn the_mirror_ends_with_the_last_job() {
    let machines = Machines::new();
    let go = machines.home.scratch().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.01; done", go.display());
    let ids = [machines.launch(&script), machines.launch(&script)];
    testkit::wait_until("a mirror runs", || machines.mirrors().len() == 1);
    fs::write(go, "").expect("a file");
    ids.iter().for_each(|id| drop(machines.finished(id)));
    testkit::wait_until("no mirror is left", || {
        machines.mirrors().is_empty() && machines.connections().is_empty()
    });
}

#[test]
fn the_program_is_copied_and_used() {
    let machines = Machines::new();
    fs::remove_file(machines.network.join("there/bin/homing")).expect("it is uninstalled there");
    let missing = machines.run(&["run", "--on", "box", "true"]);
    let stderr = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(!missing.status.success() && stderr.contains("homing setup-host box"), "{stderr}");
    assert!(machines.stdout(&["setup-host", "box"]).contains(" copied to ~/.cache/homing/"));
    assert!(machines.stdout(&["setup-host", "box"]).contains(" already at "));
    let doctor = machines.run(&["doctor", "--on", "box", "--json"]);
    let checks = json(&String::from_utf8_lossy(&doctor.stdout));
    let verdicts: Vec<_> =
        checks.as_array().expect("an array").iter().map(|check| &check["verdict"]).collect();
    assert_eq!(verdicts, ["ok", "ok", "ok", "ok"], "{checks}");
}

#[test]
fn the_session_is_notified_once_although_the_connection_is_cut() {
    let machines = Machines::new();
    let told = machines.home.scratch().join("told");
    let sink = machines.home.scratch().join("sink.sh");
    fs::write(&sink, format!("#!/bin/sh\ncat > /dev/null\necho told >> {}\n", told.display()))
        .expect("a script");
    fs::set_permissions(&sink, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("it can be executed");
    machines.configure(&format!(
        "[executors.box]\nssh = \"me@box\"\n[sinks.app]\ncommand = [\"{}\"]\n[[routes]]\nsink = \"app\"\n",
        sink.display()
    ));
    let go = machines.home.scratch().join("go");
    let script = format!("until [ -e {} ]; do sleep 0.01; done; exit 7", go.display());
    let ids = [machines.launch(&script), machines.launch(&script)];
    testkit::wait_until("it is connected", || !machines.connections().is_empty());
    machines.cut();
    fs::write(go, "").expect("a file");
    for id in &ids {
        testkit::wait_until("its session was told", || {
            machines.job(id)["follow_up"]["state"] == "acknowledged"
        });
        assert_eq!(
            machines.job(id)["outcome"],
            serde_json::json!({"kind": "exited", "exit_code": 7}),
            "{}",
            machines.there(&["show", id, "--json"])
        );
        let wakes = machines.events(id).iter().filter(|name| *name == "follow_up.acknowledged").count();
        assert_eq!(wakes, 1);
    }
    assert!((1..=2).contains(&fs::read_to_string(told).expect("it was told").lines().count()));
}

#[test]
fn an_agent_names_the_executor_over_mcp() {
    let machines = Machines::new();
    let tools_of = |machines: &Machines, call: &str| -> Vec<serde_json::Value> {
        let mut server = machines.program();
        server.arg("mcp").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = server.spawn().expect("the server starts");
        let mut stdin = server.stdin.take().expect("a pipe");
        let client =
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}"#;
        for line in [
            &format!(r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{client}}}"#),
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#,
            call,
        ] {
            writeln!(stdin, "{line}").expect("it reads");
        }
        let lines = BufReader::new(server.stdout.take().expect("a pipe")).lines();
        let mut answers: Vec<_> = lines
            .map(|line| json(&line.expect("a line")))
            .filter(|answer| !answer["id"].is_null())
            .take(3)
            .collect();
        drop(stdin);
        server.wait().expect("it ends");
        answers.sort_by_key(|answer| answer["id"].as_u64());
        answers
    };
    let call = r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"run_command","arguments":{"command":"echo in $HOME","on":"box"}}}"#;
    let answers = tools_of(&machines, call);
    let schema = &answers[1]["result"]["tools"][0]["inputSchema"]["properties"];
    assert_eq!(schema["on"]["enum"], serde_json::json!(["box"]));
    let text = answers[2]["result"]["content"][0]["text"].as_str().expect("a text");
    assert!(text.contains(&format!("in {}", machines.network.join("there/user").display())), "{text}");
    // Without an executor there is nothing to choose.
    machines.configure("");
    let answers = tools_of(&machines, call);
    let schema = &answers[1]["result"]["tools"][0]["inputSchema"]["properties"];
    assert!(schema["command"].is_object() && schema["on"].is_null(), "{schema}");
    assert_eq!(answers[2]["result"]["isError"], true);
}
