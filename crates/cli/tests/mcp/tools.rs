//! The life of a job, over each transport and revision.

use serde_json::json;

use crate::client::{CONNECTIONS, Client, Traits};
use crate::server::Setup;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ends_in_time_returns_its_result_and_is_acknowledged() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let arguments = json!({"command": "echo built; exit 3", "description": "build"});
        let reply = client.call("run_command", arguments).await;
        assert!(reply.is_error(), "a command that failed is an error of the tool");
        assert!(reply.text().starts_with("FAILED: exit code 3 after "), "{connection:?} {}", reply.text());
        assert_eq!(reply.output(), "built\n");
        let id = reply.id();
        assert_eq!(
            *reply.job(),
            json!({"id": id, "state": "finished", "outcome": "exited", "exit_code": 3, "succeeded": false, "next_byte": 6})
        );
        assert_eq!(setup.job(&id).name.as_deref(), Some("build"));
        setup.wait_for_follow_up(&reply.id(), "acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_takes_longer_keeps_running_in_the_background() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let client = Client::connect(&setup, connection, Traits::default()).await;
        let gate = setup.home.scratch().join("gate");
        let command =
            format!("echo so far; until [ -e '{}' ]; do sleep 0.02; done; echo through", gate.display());
        let arguments = json!({"command": command, "wait_ms": 500, "kill_after_ms": 600_000});
        let reply = client.call("run_command", arguments).await;
        let id = reply.id();
        assert_eq!((reply.is_error(), &reply.job()["state"]), (false, &json!("running")));
        assert!(reply.text().starts_with(&format!("Job {id} is running")), "{}", reply.text());
        assert!(reply.text().contains(" UTC (10m limit).\n"), "{}", reply.text());
        assert_eq!((reply.output().as_str(), &reply.job()["next_byte"]), ("so far\n", &json!(7)));
        assert_eq!(
            reply.last_line(),
            format!(
                "Nobody will notify you. Before you finish, call wait_for_jobs {{\"job_ids\":[\"{id}\"]}}."
            )
        );

        let waited = client.call("wait_for_jobs", json!({"job_ids": [id], "wait_ms": 20})).await;
        assert_eq!(waited.jobs()[0]["state"], "running");
        assert_eq!(waited.output(), "so far\n", "{}", waited.text());
        assert_eq!(
            waited.last_line(),
            format!(
                "Nobody will notify you. Call wait_for_jobs {{\"job_ids\":[\"{id}\"]}} again; the jobs continue."
            )
        );
        assert_eq!(setup.follow_up(&id), "waiting");

        std::fs::write(&gate, "").expect("the gate opens");
        let waited = client.call("wait_for_jobs", json!({"job_ids": [id]})).await;
        assert_eq!(waited.jobs()[0]["succeeded"], true);
        assert!(waited.text().starts_with("exit code 0 after "), "{}", waited.text());
        assert_eq!(waited.output(), "so far\nthrough\n");
        setup.wait_for_follow_up(&id, "acknowledged");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_any_returns_the_first_and_lists_the_others() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let slow = client.run_in_background(&setup.marked("exec sleep MARK")).await;
    let quick = client.run_in_background("true").await;
    let arguments = json!({"job_ids": [slow, quick], "any": true});
    let reply = client.call("wait_for_jobs", arguments).await;
    assert_eq!(reply.jobs()[1]["succeeded"], true);
    assert!(reply.text().contains(&format!("Job {slow} \"exec sleep")), "{}", reply.text());
    assert!(reply.last_line().contains(&slow) && !reply.last_line().contains(&quick), "{}", reply.text());
    let ended = client.call("kill_jobs", json!({"job_ids": [slow, quick]})).await;
    assert_eq!(ended.jobs()[0]["outcome"], "killed");
    let expected = format!("Job {quick} had already finished: exit code 0 after ");
    assert!(ended.last_line().starts_with(&expected), "{}", ended.text());
    assert!(
        ended.text().starts_with(&format!("Stopped job {slow} "))
            && ended.text().contains("no process of it is left. You will not be notified of it.\n"),
        "{}",
        ended.text()
    );
    assert_eq!(setup.follow_up(&slow), "suppressed");
    assert!(setup.home.marked().is_empty(), "no process is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_read_by_offset_by_lines_and_by_filter() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let command =
        "for i in $(seq 1 500); do echo \"line $i\"; done; printf 'error: \\033[31mbad\\033[0m\\nlast'";
    let id = client.run_in_background(command).await;
    setup.wait_for_end(&id);
    let read = async |arguments: serde_json::Value| {
        let mut arguments = arguments;
        arguments["job_id"] = json!(id);
        client.call("read_output", arguments).await
    };

    let first = read(json!({"max_chars": 200})).await;
    let mut next = first.job()["next_byte"].clone();
    let more =
        |next: &serde_json::Value| format!("More: read_output {{\"job_id\":\"{id}\",\"from_byte\":{next}}}");
    assert_eq!(first.last_line(), more(&next));
    let mut text = first.output();
    assert!(text.starts_with("line 1\nline 2\n") && text.len() <= 200, "{text}");
    loop {
        let part = read(json!({"from_byte": next, "max_chars": 2_000})).await;
        text += &part.output();
        next = part.job()["next_byte"].clone();
        if part.last_line() != more(&next) {
            assert!(
                part.last_line().starts_with("End of the output. The result counts as read after"),
                "{}",
                part.text()
            );
            break;
        }
    }
    let expected: String =
        (1..=500).map(|i| format!("line {i}\n")).collect::<String>() + "error: bad\nlast\n";
    assert_eq!(text, expected, "read in parts, nothing is missing and nothing comes twice");

    let matching = read(json!({"filter": "^error|line 49[89]$"})).await;
    assert_eq!(matching.output(), "line 498\nline 499\nerror: bad\n");
    assert!(matching.text().contains(", matching lines of bytes 0 to 4,4"), "{}", matching.text());
    let tail = read(json!({"tail_lines": 2})).await;
    assert_eq!(tail.output(), "error: bad\nlast\n");
    let none = read(json!({"filter": "no such line"})).await;
    assert!(none.text().contains("\nNo line matches.\n"), "{}", none.text());
    assert_eq!(setup.follow_up(&id), "pending", "reading output is not reading the result");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_line_is_returned_again_when_it_is_complete() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let gate = setup.home.scratch().join("gate");
    let command = format!(
        "echo one; printf 'Password'; until [ -e '{}' ]; do sleep 0.02; done; echo ': no'",
        gate.display()
    );
    let id = client.run_in_background(&command).await;
    let homing = setup.homing();
    testkit::wait_until("it has asked", || {
        homing.output_end(id.parse().expect("an id")).is_ok_and(|end| end == 12)
    });
    let first = client.call("read_output", json!({"job_id": id})).await;
    assert_eq!((first.output().as_str(), &first.job()["next_byte"]), ("one\nPassword\n", &json!(4)));
    assert!(first.text().contains("\nnext: 4\nNobody will notify you."), "{}", first.text());
    assert!(first.text().contains(", bytes 0 to 12 of 12: "), "{}", first.text());
    let beyond = client.call("read_output", json!({"job_id": id, "from_byte": u64::MAX})).await;
    assert!(
        beyond.text().contains("\nNo output since byte ") && beyond.job()["next_byte"] == 12,
        "{}",
        beyond.text()
    );
    std::fs::write(&gate, "").expect("the gate opens");
    setup.wait_for_end(&id);
    let second = client.call("read_output", json!({"job_id": id, "from_byte": 4})).await;
    assert_eq!((second.output().as_str(), &second.job()["next_byte"]), ("Password: no\n", &json!(17)));
}

#[tokio::test(flavor = "multi_thread")]
async fn omitted_output_is_reported() {
    let setup = Setup::new();
    setup.configure("[defaults]\noutput_head_bytes = 4096\noutput_tail_bytes = 4096\n");
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let id = client.run_in_background("seq 1 20000").await;
    setup.wait_for_end(&id);
    let read = client.call("read_output", json!({"job_id": id, "max_chars": 16_000})).await;
    let text = read.output();
    assert!(text.starts_with("1\n2\n") && text.ends_with("19999\n20000\n"), "{text}");
    assert!(text.contains(" bytes omitted …\n"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_listed_read_and_acknowledged() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[3], Traits::default()).await;
    let read = client.run_in_background("echo one").await;
    let acknowledged = client.run_in_background("echo two").await;
    setup.wait_for_end(&read);
    setup.wait_for_end(&acknowledged);
    let list = client.call("list_jobs", json!({"state": "finished"})).await;
    assert_eq!(list.jobs()[0]["id"], json!(acknowledged), "newest first");
    assert_eq!(list.text().matches(" (result not read)").count(), 2, "{}", list.text());
    assert_eq!(list.last_line(), "Jobs listed: 2. wait_for_jobs returns the 2 results not read.");

    // The name of an earlier version.
    let result = client.call("get_result", json!({"job_id": read})).await;
    assert!(result.text().starts_with("exit code 0") && result.output() == "one\n", "{}", result.text());
    setup.wait_for_follow_up(&read, "acknowledged");
    let reply = client.call("acknowledge_jobs", json!({"job_ids": [acknowledged]})).await;
    assert_eq!(
        reply.text(),
        format!("Acknowledged: {acknowledged}. You will not be notified of them again.\n")
    );
    assert_eq!(setup.follow_up(&acknowledged), "acknowledged");
    let page = client.call("list_jobs", json!({"limit": 1})).await;
    assert_eq!(page.last_line(), "Jobs listed: 1; older ones are not listed.");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_cannot_be_waited_for_is_reported_by_its_id() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    client.call("run_command", json!({"command": "true"})).await;
    let ledger = rusqlite::Connection::open(setup.home.path().join("ledger.db")).expect("it is there");
    ledger.execute_batch("BEGIN EXCLUSIVE").expect("it is locked");
    let reply = client.call("run_command", json!({"command": "exit 3"})).await;
    assert!(reply.text().contains("is locked by another process"), "{}", reply.text());
    assert!(reply.last_line().starts_with("Nobody will notify you."), "{}", reply.text());
    ledger.execute_batch("ROLLBACK").expect("it is free");
    let reply = client.result(&reply.id()).await;
    assert!(reply.text().contains("exit code 3"), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_creates_the_home_at_the_first_launch() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let listed = client.call("list_jobs", json!({})).await;
    assert!(!listed.is_error() && listed.jobs().is_empty());
    for (tool, arguments) in [
        ("get_result", json!({"job_id": "0123"})),
        ("read_output", json!({"job_id": "0123"})),
        ("wait_for_jobs", json!({"job_ids": ["0123"]})),
        ("kill_jobs", json!({"job_ids": ["0123"]})),
        ("acknowledge_jobs", json!({"job_ids": ["0123"]})),
    ] {
        let reply = client.call(tool, arguments).await;
        assert!(reply.is_error() && reply.text().contains("no job 0123"), "{tool}: {}", reply.text());
    }
    assert!(!setup.home.path().exists());
    client.call("run_command", json!({"command": "true"})).await;
    assert_eq!(client.call("list_jobs", json!({})).await.jobs().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_with_a_key_runs_the_command_once() {
    for connection in CONNECTIONS {
        let setup = Setup::new();
        let keyed = Traits { meta: Some(json!({"homing/key": "k"})), ..Traits::default() };
        let client = Client::connect(&setup, connection, keyed).await;
        let (gate, file) = (setup.home.scratch().join("gate"), setup.home.scratch().join("ran"));
        let command = format!(
            "echo ran >> '{}'; until [ -e '{}' ]; do sleep 0.02; done; echo through",
            file.display(),
            gate.display()
        );
        let arguments = json!({"command": command, "run_in_background": true});
        let first = client.call("run_command", arguments.clone()).await;
        let again = client.call("run_command", arguments.clone()).await;
        assert_eq!((again.id(), &again.job()["state"]), (first.id(), &json!("running")));
        assert_eq!(setup.job(&first.id()).key.as_ref().map(homing::JobKey::as_str), Some("k"));

        let other = client.call("run_command", json!({"command": "true"})).await;
        assert!(
            other.is_error() && other.text().contains("was launched with a different command"),
            "{other:?}"
        );

        std::fs::write(&gate, "").expect("the gate opens");
        setup.wait_for_follow_up(&first.id(), "pending");
        let repeated = client.call("run_command", arguments).await;
        assert_eq!((repeated.id(), &repeated.job()["state"]), (first.id(), &json!("finished")));
        assert!(repeated.text().contains("through"), "{}", repeated.text());
        setup.wait_for_follow_up(&first.id(), "acknowledged");
        assert_eq!(std::fs::read_to_string(&file).expect("it ran"), "ran\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_again_without_new_output_says_so_and_not_to_poll() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let id = client.run_in_background(&setup.marked("echo once; exec sleep MARK")).await;
    let homing = setup.homing();
    testkit::wait_until("it has printed", || {
        homing.output_end(id.parse().expect("an id")).is_ok_and(|end| end == 5)
    });
    let again = client.call("read_output", json!({"job_id": id, "from_byte": 5})).await;
    assert!(
        again.text().contains(
            "\nNo output since byte 5.\nDo not read again to wait. Nobody will notify you. Before you finish, call"
        ),
        "{}",
        again.text()
    );
    assert_eq!(again.job()["next_byte"], 5);
    setup.kill_all_jobs();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_result_names_the_offset_of_its_omitted_part() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let reply = client.call("run_command", json!({"command": "seq -f 'line %.0f' 1 20000"})).await;
    let id = reply.id();
    let shown = reply.output();
    let (before, after) = shown.split_once("… ").expect("a mark");
    assert!(after.ends_with("line 20000\n"), "{after}");
    let named = format!("Omitted part: read_output {{\"job_id\":\"{id}\",\"from_byte\":");
    let from = reply.last_line().strip_prefix(&named).and_then(|rest| rest.strip_suffix('}'));
    let from: usize = from.and_then(|from| from.parse().ok()).unwrap_or_else(|| panic!("{}", reply.text()));
    let lines = before[..from].lines().count();
    assert!(
        before[..from].ends_with(&format!("line {lines}\n")) && before[from..].lines().count() <= 1,
        "{from}"
    );
    assert!(reply.text().contains(", 208,894 bytes, "), "{}", reply.text());
    let next = client.call("read_output", json!({"job_id": id, "from_byte": from})).await;
    assert!(next.output().starts_with(&format!("line {}\n", lines + 1)), "{}", next.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_a_limit_is_to_be_stopped_and_a_cap_of_the_configuration_is_stated() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let server =
        json!({"command": setup.marked("exec sleep MARK"), "run_in_background": true, "kill_after_ms": 0});
    let reply = client.call("run_command", server.clone()).await;
    let id = reply.id();
    assert_eq!(setup.job(&id).limits.timeout, None);
    assert!(!reply.text().contains("limit)"), "{}", reply.text());
    assert_eq!(
        reply.last_line(),
        format!(
            "No time limit: stop it with kill_jobs {{\"job_ids\":[\"{id}\"]}} when it is no \
             longer needed. Nobody will notify you of its end; wait_for_jobs waits for it."
        )
    );
    setup.configure("[limits]\nmax_timeout = \"2h\"\n");
    let reply = client.call("run_command", server).await;
    let id = reply.id();
    assert_eq!(setup.job(&id).limits.timeout, Some(std::time::Duration::from_secs(7_200)));
    assert!(
        reply.text().contains(" (2h limit, the most that the configuration allows).\n"),
        "{}",
        reply.text()
    );
    assert!(reply.last_line().starts_with("Nobody will notify you. Before"), "{}", reply.text());
    setup.kill_all_jobs();
}

#[tokio::test(flavor = "multi_thread")]
async fn env_adds_variables_that_are_never_written_to_disk() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[1], Traits::default()).await;
    let secret = "hunter2-hunter2";
    let arguments =
        json!({"command": "echo ${#SECRET} $HOME", "env": {"SECRET": secret, "HOME": "/elsewhere"}});
    let reply = client.call("run_command", arguments).await;
    assert_eq!(reply.output(), "15 /elsewhere\n");
    let mut folders = vec![setup.home.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a directory").flatten() {
            match entry.file_type().expect("a type").is_dir() {
                true => folders.push(entry.path()),
                false => {
                    let content = std::fs::read(entry.path()).unwrap_or_default();
                    let is_there = content.windows(secret.len()).any(|bytes| bytes == secret.as_bytes());
                    assert!(!is_there, "{:?}", entry.path());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_job_is_to_be_checked_before_it_is_run_again() {
    let setup = Setup::new();
    let client = Client::connect(&setup, CONNECTIONS[0], Traits::default()).await;
    let id = client.run_in_background(&setup.marked("echo begun; exec sleep MARK")).await;
    let supervisor = setup.home.processes().into_iter().find(|process| process.command_line.contains(&id));
    let supervisor = supervisor.unwrap_or_else(|| panic!("no supervisor among {:?}", setup.home.processes()));
    let pid = i32::try_from(supervisor.pid).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it is killed");
    let reply = client.call("wait_for_jobs", json!({"job_ids": [id]})).await;
    assert!(reply.text().starts_with("UNKNOWN: lost"), "{}", reply.text());
    assert_eq!(
        reply.last_line(),
        "It may or may not have completed. Check what it did before you run it again."
    );
    assert_eq!(reply.jobs()[0]["outcome"], "lost");
    setup.kill_all_jobs();
}
