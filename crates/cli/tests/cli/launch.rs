//! `homing run`, alone and with `--wait`.

use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;
use testkit::wait_until;

use crate::setup::{Setup, answer, send};

#[test]
fn one_word_is_a_script_and_several_are_exact_arguments() {
    let setup = Setup::new();
    assert_eq!(setup.run(&["run", "--wait", "echo a  $((1 + 1))"]).stdout, "a 2\n");
    assert_eq!(
        setup.run(&["run", "--wait", "echo", "a  $((1 + 1))", "--", "-x"]).stdout,
        "a  $((1 + 1)) -- -x\n"
    );
    assert_eq!(setup.run(&["run", "--wait", "--", "printf", "%s", "--json"]).stdout, "--json");
}

#[test]
fn options_after_a_separator_or_with_it_belong_to_the_command() {
    let setup = Setup::new();
    assert_eq!(setup.run(&["run", "--wait", "--", "echo", "--timeout", "5m"]).stdout, "--timeout 5m\n");
    assert_eq!(setup.run(&["run", "--wait", "echo", "-x", "--", "--json"]).stdout, "-x -- --json\n");
}

#[test]
fn a_launch_says_whether_the_session_will_be_notified() {
    let setup = Setup::new();
    let launched = |config: &str, arguments: &[&str], variables: &[(&str, &str)]| {
        setup.configure(config);
        let mut command = setup.command(&[&["run"], arguments, &["true"]].concat());
        let answer = {
            command.envs(variables.iter().copied());
            answer(command)
        };
        assert_eq!(answer.status, Some(0), "{answer:?}");
        answer
    };
    let goose = [("AGENT_SESSION_ID", "g-1")];
    let agents = "agents = [\"goose\"]\nmonitor.autostart = false\n";
    // A script gets the id alone.
    assert_eq!(launched("", &[], &[]).stderr, "");
    let id = |answer: &crate::setup::Answer| answer.stdout.trim_end().to_owned();
    let no_route = launched("", &[], &goose);
    assert_eq!(
        no_route.stderr,
        format!(
            "homing: session g-1 will not be notified: no route leads from it to a sink; run homing wait {} to get the \
             result; homing setup goose configures notifications\n",
            id(&no_route)
        )
    );
    let no_monitor = launched(agents, &[], &goose).stderr;
    assert!(
        no_monitor.contains("will not be notified: no monitor is running; run homing wait"),
        "{no_monitor}"
    );
    let with_json = |config: &str, arguments: &[&str]| {
        let arguments = [&["--json"], arguments].concat();
        let answer = launched(config, &arguments, &goose);
        assert_eq!(answer.stderr, "");
        answer.json()["notification"].clone()
    };
    let sink = "monitor.autostart = true\n[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n";
    let expected = json!({"will_be_notified": false, "sink": null, "reason": "no_follow_up"});
    assert_eq!(with_json(sink, &["--follow-up", "never"]), expected);
    let expected = json!({"will_be_notified": true, "sink": "app", "reason": null});
    assert_eq!(with_json(sink, &[]), expected);
    let line = launched(sink, &[], &goose).stderr;
    assert_eq!(line, "homing: session g-1 will be notified of the result (sink app)\n");
    wait_until("all jobs have finished", || {
        setup.run(&["list", "--state", "running", "--json"]).stdout == "[]\n"
    });
}

#[test]
fn options_reach_the_job() {
    let setup = Setup::new();
    let folder = setup.file("folder/file", "").parent().unwrap().to_owned();
    let id = setup.finished_with(
        &[
            "--session",
            "chat-1",
            "--name",
            "a name",
            "--cwd",
            "folder",
            "--env",
            "A=1=2",
            "--env",
            "B=",
            "--timeout",
            "2h",
        ],
        "pwd; echo $A,$B,$HOMING_SESSION",
    );
    let job = setup.job(&id);
    assert_eq!(job["session"], "chat-1");
    assert_eq!(job["name"], "a name");
    assert_eq!(job["timeout_ms"], 7_200_000);
    let written = setup.run(&["output", &id]).stdout;
    assert_eq!(written, format!("{}\n1=2,,chat-1\n", folder.canonicalize().unwrap().display()));
}

#[test]
fn the_session_comes_from_the_environment() {
    let setup = Setup::new();
    let id = setup.run_as("chat-2", &["run", "true"]).stdout;
    assert_eq!(setup.job(id.trim_end())["session"], "chat-2");
    setup.wait_for_end(id.trim_end());
}

#[test]
fn a_job_does_not_inherit_the_wake_id() {
    let setup = Setup::new();
    let mut command = setup.command(&["run", "echo ${HOMING_WAKE-none}"]);
    let launched = command.env("HOMING_WAKE", "w_01M81EKCZVZZZZZZZZZZZZZZZZ").output().unwrap();
    let id = String::from_utf8(launched.stdout).unwrap();
    setup.wait_for_end(id.trim_end());
    assert_eq!(setup.run(&["output", id.trim_end()]).stdout, "none\n");
}

#[test]
fn leftovers_are_kept_on_request() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--leftovers", "keep"], "sleep MARK & exit 0");
    assert_eq!(setup.home.marked().len(), 1);
    assert_eq!(setup.job(&id)["leftovers"][0]["name"], "sleep");
    assert!(setup.run(&["show", &id]).stdout.contains("left running"), "show lists leftovers");
    for process in setup.home.marked() {
        send(process.pid, Signal::KILL);
    }
}

#[test]
fn run_wait_exits_with_the_status_of_the_job_and_acknowledges_it() {
    let setup = Setup::new();
    let answer = setup.run(&["run", "--wait", "printf '\\033[1mbold\\033[0m\\nlast'; exit 7"]);
    let exact = "\x1b[1mbold\x1b[0m\nlast";
    assert_eq!((answer.status, answer.stdout.as_str(), answer.stderr.as_str()), (Some(7), exact, ""));
    let jobs = setup.run(&["list", "--json"]).json();
    assert_eq!(jobs[0]["follow_up"]["state"], "acknowledged");
}

#[test]
fn run_wait_reports_timeouts_and_leftovers_on_standard_error() {
    let setup = Setup::new();
    let answer = setup.run(&["run", "--wait", "--timeout", "50ms", &setup.marked("sleep MARK")]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(124), ""));
    assert!(answer.stderr.contains("timeout reached"), "{answer:?}");
    let answer = setup.run(&["run", "--wait", &setup.marked("sleep MARK & exit 0")]);
    assert_eq!(answer.status, Some(0));
    assert!(answer.stderr.contains("left processes behind: sleep"), "{answer:?}");
}

#[test]
fn run_wait_with_a_duration_leaves_the_job_running() {
    let setup = Setup::new();
    let script = setup.marked("sleep MARK");
    for wait in [&["--wait", "20ms"][..], &["--wait=20ms"]] {
        let answer = setup.run(&[&["run"], wait, &[script.as_str()]].concat());
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(75), ""));
        let job = setup.run(&["list", "--json", "--limit", "1"]).json()[0].clone();
        assert_eq!(job["state"], "running");
        let id = job["id"].as_str().unwrap();
        assert!(answer.stderr.contains(&format!("stopped waiting; job {id} keeps running")), "{answer:?}");
        setup.kill(id);
    }
}

#[test]
fn run_wait_with_json_prints_the_finished_job() {
    let setup = Setup::new();
    let answer = setup.run(&["run", "--wait", "--json", "echo not shown; exit 7"]);
    assert_eq!(answer.status, Some(7));
    assert_eq!(answer.json()["outcome"]["exit_code"], 7);
    assert_eq!(setup.follow_up(answer.json()["id"].as_str().unwrap()), "acknowledged");

    let answer = setup.run(&["run", "--wait", "20ms", "--json", &setup.marked("sleep MARK")]);
    assert_eq!((answer.status, answer.json()["state"].as_str()), (Some(75), Some("running")));
    setup.kill(answer.json()["id"].as_str().unwrap());
}

#[test]
fn a_command_that_cannot_start_is_reported_once() {
    let setup = Setup::new();
    let answer = setup.run(&["run", "/no/such/program", "argument"]);
    let id = answer.stdout.trim_end();
    assert_eq!(answer.status, Some(1));
    assert!(answer.stderr.starts_with(&format!("homing: error: job {id} did not start: ")), "{answer:?}");
    assert_eq!(setup.follow_up(id), "acknowledged");

    let answer = setup.run(&["run", "--json", "/no/such/program", "argument"]);
    assert_eq!(
        (answer.status, answer.json()["outcome"]["kind"].as_str()),
        (Some(1), Some("failed_to_start"))
    );

    let answer = setup.run(&["run", "--wait", "/no/such/program", "argument"]);
    assert_eq!((answer.status, answer.stdout.as_str()), (Some(125), ""));
    assert!(answer.stderr.contains("did not start"), "{answer:?}");
}

#[test]
fn a_blank_name_is_ignored() {
    let setup = Setup::new();
    for name in ["", " "] {
        let id = setup.finished_with(&["--name", name], "true");
        assert_eq!(setup.job(&id)["name"], serde_json::Value::Null, "{name:?}");
    }
}

#[test]
fn a_shell_is_run_by_its_own_name() {
    let setup = Setup::new();
    let folder = setup.home.scratch().join("bin");
    std::fs::create_dir(&folder).unwrap();
    let run = |script: &str| {
        let mut command = setup.command(&["run", "--wait", script]);
        command.env("PATH", &folder);
        let answer = answer(command);
        assert_eq!(answer.status, Some(0), "{answer:?}");
        answer.stdout
    };
    let first_argument = "IFS= read -r line < /proc/$$/cmdline; echo \"${line%%/*}\"";
    symlink("/bin/sh", folder.join("sh")).unwrap();
    assert_eq!(run(first_argument), "sh\n");
    // BusyBox selects the applet by this name.
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    match busybox {
        Some(busybox) => {
            std::fs::remove_file(folder.join("sh")).unwrap();
            symlink(busybox, folder.join("sh")).unwrap();
            assert_eq!(run("echo alive"), "alive\n");
        }
        None => testkit::skip("there is no busybox"),
    }
    symlink("/bin/sh", folder.join("bash")).unwrap();
    assert_eq!(run(first_argument), "bash\n");
}

#[test]
fn no_job_exceeds_the_largest_timeout_of_the_configuration() {
    let setup = Setup::new();
    setup.configure("[limits]\nmax_timeout = \"2h\"\n");
    for (options, millis) in [
        (&[][..], 3_600_000),
        (&["--timeout", "none"], 7_200_000),
        (&["--timeout", "9h"], 7_200_000),
        (&["--timeout", "1m"], 60_000),
    ] {
        assert_eq!(setup.job(&setup.finished_with(options, "true"))["timeout_ms"], millis, "{options:?}");
    }
    // The same request, although its job has another timeout.
    let keyed = ["--timeout", "none", "--key", "k"];
    let first = setup.finished_with(&keyed, "true");
    assert_eq!(setup.finished_with(&keyed, "true"), first);
}
