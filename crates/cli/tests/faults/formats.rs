//! Two versions of the program on one home: data of the newer version is reported as such and is not changed.

use std::fs;

use homing::{JobId, Outcome};
use testkit::wait_until;

use crate::setup::{Setup, kill_9, outcome, stdout};

/// The output of a program with these failpoints: standard output and standard error.
fn run_as(setup: &Setup, failpoints: &str, args: &[&str]) -> String {
    let mut program = setup.program();
    let output = program.args(args).env("FAILPOINTS", failpoints).output().expect("the program runs");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("text")
}

/// A job that a program with these failpoints has launched and supervises.
fn job_of_a_newer_program(setup: &Setup, failpoints: &str, script: &str) -> JobId {
    let launched = run_as(setup, failpoints, &["run", &script.replace("MARK", setup.home.mark())]);
    launched.trim().parse().expect("an id")
}

#[test]
fn a_record_of_a_newer_program_is_not_changed() {
    for newer in ["record_format=return(3)", "record_format=return(99)"] {
        let setup = Setup::new();
        let mine = setup.run("exit 4").id;
        let ended = job_of_a_newer_program(&setup, newer, "exit 7");
        let killed = job_of_a_newer_program(&setup, newer, "exec sleep MARK");
        setup.wait_for_marked(1);
        kill_9(setup.supervisor(killed).pid);
        wait_until("both have finished", || setup.home.processes().is_empty());
        let records =
            [ended, killed].map(|id| setup.home.path().join("jobs").join(id.as_str()).join("record"));
        let before = records.clone().map(|record| fs::read(record).expect("a record"));

        // This program lists both, can read its own, and changes nothing.
        for args in
            [&["list"][..], &["recover"], &["prune", "--older-than", "0s"], &["doctor"], &["follow-ups"]]
        {
            run_as(&setup, "start_grace=return(0)", args);
        }
        let shown = run_as(&setup, "", &["show", ended.as_str()]);
        assert!(shown.contains("newer version of homing"), "{newer}: {shown}");
        let recovered = run_as(&setup, "start_grace=return(0)", &["recover"]);
        assert!(!recovered.contains("recovered"), "{newer}: {recovered}");
        let after = records.clone().map(|record| fs::read(record).expect("the record is still there"));
        assert!(before == after, "{newer}: a record was changed");
        assert_eq!(outcome(&setup.homing.get(mine).expect("my job")), &Outcome::Exited { exit_code: 4 });

        // The newer program reads both.
        let list = run_as(&setup, newer, &["list", "--json"]);
        for end in [r#""kind":"exited","exit_code":4"#, r#""exit_code":7"#, r#""reason":"supervisor_died""#] {
            assert!(list.contains(end), "{newer}: {list}");
        }
        assert!(run_as(&setup, newer, &["recover"]).contains("recovered"), "{newer}");
    }
}

#[test]
fn a_spec_of_a_newer_program_is_not_changed() {
    let setup = Setup::new();
    let newer = "spec_schema=return(homing.spec/2)";
    let id = job_of_a_newer_program(&setup, newer, "exit 7").to_string();
    wait_until("it has finished", || setup.home.processes().is_empty());
    let directory = setup.home.path().join("jobs").join(&id);
    for args in [&["list"][..], &["recover"], &["prune", "--older-than", "0s"], &["doctor"]] {
        run_as(&setup, "start_grace=return(0)", args);
    }
    let shown = run_as(&setup, "", &["show", &id]);
    assert!(shown.contains("newer version of homing"), "{shown}");
    assert!(directory.join("spec.json").exists() && directory.join("record").exists());
    let seen = stdout(
        &setup.program().args(["show", &id, "--json"]).env("FAILPOINTS", newer).output().expect("runs"),
    );
    assert!(seen.contains(r#""exit_code":7"#), "{seen}");
}
