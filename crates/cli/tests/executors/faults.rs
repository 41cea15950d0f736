//! What goes wrong between the machines: nothing runs twice, ends falsely or is forgotten.

use std::fs;

use serde_json::json;
use testkit::{kill, wait_until};

use crate::machines::{Machines, json as parsed};

/// A job that ends when the file exists, and notes in another that it ran.
fn gated(machines: &Machines) -> (String, std::path::PathBuf) {
    let go = machines.home.scratch().join("go");
    let ran = machines.home.scratch().join("ran");
    let script =
        format!("echo ran >> {}; until [ -e {} ]; do sleep 0.01; done; exit 5", ran.display(), go.display());
    (script, go)
}

fn runs(machines: &Machines) -> usize {
    fs::read_to_string(machines.home.scratch().join("ran")).unwrap_or_default().lines().count()
}

#[test]
fn a_connection_that_is_cut_is_opened_again_and_loses_nothing() {
    let machines = Machines::new();
    let (script, go) = gated(&machines);
    let id = machines.launch(&script);
    for _ in 0..3 {
        wait_until("it is connected", || !machines.connections().is_empty());
        machines.cut();
    }
    assert_eq!(machines.job(&id)["state"], "running");
    fs::write(go, "").expect("a file");
    assert_eq!(machines.finished(&id)["outcome"], json!({"kind": "exited", "exit_code": 5}));
    assert_eq!(runs(&machines), 1);
    let ends = machines.events(&id).iter().filter(|name| *name == "job.finished").count();
    assert_eq!(ends, 1);
}

#[test]
fn an_executor_that_is_not_reached_is_not_lost() {
    let machines = Machines::new();
    let (script, go) = gated(&machines);
    let id = machines.launch(&script);
    wait_until("it is connected", || machines.health()["connected"] == true);
    machines.set_down(true);
    machines.cut();
    wait_until("that is noticed", || {
        let health = machines.health();
        health["connected"] == false
            && health["problem"].as_str().is_some_and(|text| text.contains("refused"))
    });
    assert!(machines.stdout(&["executors"]).contains("unreachable"));
    // It ends meanwhile. Nobody at home can know.
    fs::write(go, "").expect("a file");
    wait_until("it has ended there", || {
        parsed(&machines.there(&["show", &id, "--json"]))["state"] == "finished"
    });
    machines.stdout(&["recover"]);
    assert_eq!(machines.job(&id)["state"], "running");
    // Also after a reboot at home, which ends the mirror.
    machines.kill_mirrors();
    machines.stdout(&["recover"]);
    assert_eq!(machines.job(&id)["state"], "running");
    machines.set_down(false);
    assert_eq!(machines.finished(&id)["outcome"]["exit_code"], 5);
}

#[test]
fn a_launch_that_cannot_arrive_fails_and_leaves_no_job() {
    let machines = Machines::new();
    machines.set_down(true);
    let run = machines.run(&["run", "--on", "box", "true"]);
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1));
    assert!(
        stderr.contains("executor box cannot be reached") && stderr.contains("Connection refused"),
        "{stderr}"
    );
    assert!(stderr.contains("ssh me@box true"), "it gives a hint: {stderr}");
    assert_eq!(machines.stdout(&["list", "--all-sessions", "--json"]).trim(), "[]");
    let unknown = machines.run(&["run", "--on", "nowhere", "true"]);
    let stderr = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(unknown.status.code(), Some(2));
    assert!(stderr.contains("configured executors: box"), "{stderr}");
}

#[test]
fn a_refused_launch_has_the_words_of_the_executor_and_leaves_no_job() {
    let machines = Machines::new();
    let run = machines.run(&["run", "--on", "box", "--cwd", "/no/such/directory", "true"]);
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr.contains("executor box: cannot run in /no/such/directory"), "{stderr}");
    assert_eq!(machines.stdout(&["list", "--all-sessions", "--json"]).trim(), "[]");
}

#[test]
fn a_launch_whose_answer_is_lost_runs_once() {
    let machines = Machines::new();
    let (script, go) = gated(&machines);
    fs::write(machines.network.join("failpoints"), "executor/launched_there=return").expect("a file");
    let id = machines.launch(&script);
    fs::write(go, "").expect("a file");
    assert_eq!(machines.finished(&id)["outcome"]["exit_code"], 5);
    assert!(
        machines.network.join("failpoints.used").exists(),
        "the first program there ended without an answer"
    );
    assert_eq!(runs(&machines), 1);
}

#[test]
fn a_launcher_killed_at_any_step_leaves_a_job_that_is_reported() {
    for (step, expected) in [
        ("executor/durable", json!({"kind": "lost", "reason": "never_started"})),
        ("executor/launched", json!({"kind": "exited", "exit_code": 5})),
    ] {
        let machines = Machines::new();
        let (script, go) = gated(&machines);
        fs::write(go, "").expect("a file");
        let failpoints = format!("{step}=return");
        let mut launcher = machines.program();
        launcher.args(["run", "--on", "box", &script]).env("FAILPOINTS", failpoints);
        assert!(!launcher.output().expect("it starts").status.success(), "{step}");
        let mut recover = machines.program();
        recover.arg("recover").env("FAILPOINTS", "mirror_pause=return(20);mirror_unanswered=return(0)");
        assert!(recover.status().expect("it starts").success());
        let jobs = parsed(&machines.stdout(&["list", "--all-sessions", "--json"]));
        let id = jobs[0]["id"].as_str().expect("the job is known").to_owned();
        assert_eq!(machines.finished(&id)["outcome"], expected, "{step}");
        assert_eq!(runs(&machines), usize::from(expected["kind"] == "exited"), "{step}");
    }
}

#[test]
fn a_mirror_killed_at_any_step_is_continued() {
    for step in ["mirror/output_copied", "mirror/end_recorded"] {
        let machines = Machines::new();
        let (script, go) = gated(&machines);
        let id = machines.launch(&format!("seq 100000; {script}"));
        wait_until("a mirror runs", || !machines.mirrors().is_empty());
        machines.kill_mirrors();
        let mut recover = machines.program();
        recover.arg("recover").env("FAILPOINTS", format!("{step}=return"));
        assert!(recover.status().expect("it starts").success());
        fs::write(go, "").expect("a file");
        wait_until("it was killed", || machines.mirrors().is_empty());
        machines.stdout(&["recover"]);
        assert_eq!(machines.finished(&id)["outcome"]["exit_code"], 5, "{step}");
        assert_eq!(machines.stdout(&["output", &id]), machines.there(&["output", &id]), "{step}");
        assert_eq!(runs(&machines), 1);
    }
}

#[test]
fn a_supervisor_that_dies_there_is_reported_as_lost() {
    let machines = Machines::new();
    let mark = machines.home.mark().to_owned();
    let id = machines.launch(&format!("exec sleep {mark}"));
    wait_until("it runs", || {
        machines.home.marked().iter().any(|process| process.command_line.starts_with("sleep"))
    });
    let supervisors =
        machines.home.processes().into_iter().filter(|process| process.command_line.contains(&id));
    supervisors.for_each(|supervisor| kill(supervisor.pid));
    assert_eq!(machines.finished(&id)["outcome"], json!({"kind": "lost", "reason": "supervisor_died"}));
    wait_until("its process is ended", || machines.home.marked().is_empty());
}

#[test]
fn a_job_whose_directory_there_was_removed_is_lost_and_ended() {
    let machines = Machines::new();
    let mark = machines.home.mark().to_owned();
    let id = machines.launch(&format!("exec sleep {mark}"));
    wait_until("it is connected", || !machines.connections().is_empty());
    fs::remove_dir_all(machines.home_there().join("jobs").join(&id)).expect("it is removed");
    machines.cut();
    assert_eq!(machines.finished(&id)["outcome"]["kind"], "lost");
    wait_until("its process is ended", || machines.home.marked().is_empty());
}

#[test]
fn a_shell_there_that_prints_a_greeting_does_not_disturb() {
    let machines = Machines::new();
    fs::write(machines.network.join("greeting"), "Welcome!\n{\"answer\":\"other\"}\n\u{1b}[31m\n")
        .expect("a file");
    let id = machines.launch("exit 5");
    assert_eq!(machines.finished(&id)["outcome"]["exit_code"], 5);
    fs::write(machines.network.join("greeting"), "y\n".repeat(100_000)).expect("a file");
    let run = machines.run(&["run", "--on", "box", "true"]);
    let stderr = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(!run.status.success() && stderr.contains("prints without end"), "{stderr}");
}

#[test]
fn an_older_program_leaves_a_job_on_an_executor_alone() {
    let machines = Machines::new();
    let (script, go) = gated(&machines);
    let id = machines.launch(&script);
    let spec = parsed(
        &fs::read_to_string(machines.home.path().join("jobs").join(&id).join("spec.json"))
            .expect("it is read"),
    );
    assert_eq!((&spec["schema"], &spec["executor"]), (&json!("homing.spec/2"), &json!("box")));
    fs::write(go, "").expect("a file");
    machines.finished(&id);
}

#[test]
fn what_an_executor_reports_about_other_jobs_is_ignored() {
    let machines = Machines::new();
    let mark = machines.home.mark().to_owned();
    let local = machines.stdout(&["run", &format!("exec sleep {mark}")]).trim().to_owned();
    let (script, go) = gated(&machines);
    let id = machines.launch(&script);
    // An executor that lies: it introduces itself and reports the end of both jobs, one with a huge output.
    let end = r#""started":null,"finished":{"outcome":{"kind":"exited","exit_code":0},"ended_at_ms":1,"duration_ms":1,"cpu_ms":null,"peak_memory_bytes":null,"leftovers":[],"leftovers_omitted":0,"output_total_bytes":9,"output_dropped_bytes":0},"tail_bytes":0,"inline":0"#;
    let lie =
        |job: &str, head: &str| format!(r#"{{"answer":"finished","job":"{job}",{end},"head_bytes":{head}}}"#);
    let hello = r#"{"answer":"hello","protocol":1,"version":"\u001b[31mX","run_by":{"machine_id":null,"host_name":"x","boot_id":"","pid_namespace":null,"uid":0},"now_ms":0}"#;
    let says = machines.network.join("says");
    fs::write(
        &says,
        [hello, &lie(&local, "0"), "{\"answer\":\"unknown\",\"job\":\"000000000000\"}", ""].join("\n"),
    )
    .expect("a file");
    let liar = machines.network.join("there/bin/liar");
    fs::write(
        &liar,
        format!(
            "#!/bin/sh\ncat {}\nexec cat > {}\n",
            says.display(),
            machines.network.join("heard").display()
        ),
    )
    .expect("a script");
    fs::set_permissions(&liar, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it can be executed");
    machines.configure(&format!("[executors.box]\nssh = \"me@box\"\nprogram = \"{}\"\n", liar.display()));
    machines.kill_mirrors();
    machines.stdout(&["recover"]);
    wait_until("it was asked", || {
        fs::read_to_string(machines.network.join("heard")).is_ok_and(|heard| heard.contains(&id))
    });
    wait_until("its version is known", || {
        let health = machines.health();
        health["version"].as_str().is_some_and(|version| version.contains('X') && !version.contains('\u{1b}'))
    });
    assert_eq!(
        (&machines.job(&local)["state"], &machines.job(&id)["state"]),
        (&json!("running"), &json!("running"))
    );
    // The real one comes back.
    machines.configure("[executors.box]\nssh = \"me@box\"\n");
    machines.kill_mirrors();
    machines.stdout(&["recover"]);
    fs::write(go, "").expect("a file");
    assert_eq!(machines.finished(&id)["outcome"]["exit_code"], 5);
    machines.stdout(&["kill", &local]);
}

#[test]
fn an_executor_that_is_gone_for_ever_is_declared_gone() {
    let machines = Machines::new();
    let (script, go) = gated(&machines);
    let id = machines.launch(&script);
    wait_until("it is connected", || machines.health()["connected"] == true);
    // While there is a connection, it is not gone.
    machines.stdout(&["recover", "--assume-gone"]);
    assert_eq!(machines.job(&id)["state"], "running");
    machines.set_down(true);
    machines.cut();
    wait_until("that is noticed", || machines.stdout(&["executors"]).contains("unreachable"));
    machines.stdout(&["recover"]);
    assert_eq!(machines.job(&id)["state"], "running");
    machines.stdout(&["recover", "--assume-gone"]);
    assert_eq!(machines.job(&id)["outcome"], json!({"kind": "lost", "reason": "supervisor_died"}));
    fs::write(go, "").expect("a file");
}

#[test]
fn the_end_of_a_connection_is_noticed_although_its_standard_error_stays_open() {
    let machines = Machines::new();
    // As a ControlMaster that ssh has started in the background does.
    let holder = format!("sleep {} > /dev/null < /dev/null &", machines.home.mark());
    let ssh = machines.network.join("bin/ssh");
    let script = fs::read_to_string(&ssh).expect("a script").replacen(
        "#!/bin/sh\n",
        &format!("#!/bin/sh\n{holder}\n"),
        1,
    );
    fs::write(&ssh, script).expect("a script");
    let (script, go) = gated(&machines);
    let id = machines.launch(&script);
    wait_until("it is connected", || !machines.connections().is_empty());
    machines.cut();
    wait_until("it is connected again", || !machines.connections().is_empty());
    fs::write(go, "").expect("a file");
    assert_eq!(machines.finished(&id)["outcome"]["exit_code"], 5);
    machines.set_down(true);
    let run = machines.run(&["run", "--on", "box", "true"]);
    assert!(String::from_utf8_lossy(&run.stderr).contains("Connection refused"), "{run:?}");
    machines.home.marked().iter().for_each(|process| kill(process.pid));
}

#[test]
fn a_monitor_replaces_a_mirror_that_was_killed() {
    let machines = Machines::new();
    machines.configure(
        "[executors.box]\nssh = \"me@box\"\n[sinks.app]\ncommand = [\"true\"]\n[[routes]]\nsink = \"app\"\n",
    );
    let (script, go) = gated(&machines);
    let mut launcher = machines.program();
    launcher.args(["run", "--on", "box", &script]);
    launcher.env("FAILPOINTS", "mirror_pause=return(20);monitor/mirror_check=return(100)");
    let id = String::from_utf8(launcher.output().expect("it starts").stdout).expect("text").trim().to_owned();
    wait_until("a mirror runs", || !machines.mirrors().is_empty());
    machines.mirrors().iter().for_each(|mirror| kill(mirror.pid));
    fs::write(go, "").expect("a file");
    wait_until("its session was told", || machines.job(&id)["follow_up"]["state"] == "acknowledged");
    assert_eq!(machines.job(&id)["outcome"]["exit_code"], 5);
}
