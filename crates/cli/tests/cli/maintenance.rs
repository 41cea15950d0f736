//! `prune`, `doctor`, `completions` and `man`. Read-only commands do not create a home.

use std::os::unix::fs::PermissionsExt;

use crate::setup::Setup;

#[test]
fn prune_removes_only_old_acknowledged_jobs() {
    let setup = Setup::new();
    let (acknowledged, undelivered) = (setup.finished("true"), setup.finished("true"));
    let running = setup.launch("sleep MARK");
    setup.run(&["ack", &acknowledged]);
    assert_eq!(setup.run(&["prune"]).stdout, "removed 0 jobs\n", "seven days have not passed");
    assert_eq!(setup.run(&["prune", "--older-than", "0s"]).stdout, "removed 1 job\n");
    assert_eq!(setup.run(&["show", &acknowledged]).status, Some(3));
    assert_eq!(setup.job(&undelivered)["state"], "finished");
    setup.kill(&running);
}

#[test]
fn the_configuration_sets_the_retention_time() {
    let setup = Setup::new();
    setup.finished_with(&["--follow-up", "never"], "true");
    assert_eq!(setup.run(&["prune"]).stdout, "removed 0 jobs\n");
    setup.file("homing/config.toml", "[retention]\nfinished = \"0s\"\n");
    assert_eq!(setup.run(&["prune"]).stdout, "removed 1 job\n");
}

#[test]
fn the_doctor_finds_no_problem_in_a_healthy_home() {
    let setup = Setup::new();
    setup.finished("true");
    let answer = setup.run(&["doctor"]);
    assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{answer:?}");
    assert!(!answer.stdout.contains('✗'), "{answer:?}");
}

#[test]
fn the_doctor_reports_problems_and_fails() {
    let setup = Setup::new();
    let id = setup.finished("true");
    std::fs::write(setup.home.path().join("jobs").join(&id).join("spec.json"), "{").unwrap();
    std::fs::remove_file(setup.home.path().join("ledger.db")).unwrap();
    let answer = setup.run(&["doctor"]);
    assert_eq!(answer.status, Some(1), "{answer:?}");
    assert!(answer.stdout.contains(&format!("✗ job            {id}: ")), "{answer:?}");
    assert!(answer.stdout.contains("\n    hint: inspect "), "{answer:?}");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let setup = Setup::new();
    assert!(setup.run(&["man"]).stdout.contains(".TH homing 1"));
    let folder = setup.file("man/other", "").parent().unwrap().to_owned();
    assert_eq!(setup.run(&["man", folder.to_str().unwrap()]).status, Some(0));
    for page in
        ["homing.1", "homing-run.1", "homing-follow-ups.1", "homing-monitor.1", "homing-monitor-install.1"]
    {
        assert!(folder.join(page).is_file(), "{page}");
    }
    let nowhere = setup.run(&["man", "/no/such/folder"]);
    assert_eq!(nowhere.status, Some(1), "{nowhere:?}");
}

#[test]
fn read_only_commands_do_not_create_a_home() {
    let setup = Setup::new();
    let read = |arguments: &[&str]| {
        let answer = setup.run(arguments);
        assert!(!setup.home.path().exists(), "{arguments:?} created a home");
        answer
    };
    assert_eq!(read(&["list", "--json"]).stdout, "[]\n");
    assert_eq!(read(&["follow-ups", "--json"]).stdout, "[]\n");
    assert_eq!(read(&["prune"]).stdout, "removed 0 jobs\n");
    for verb in ["show", "wait", "output", "result", "kill", "ack", "retry", "drop"] {
        assert_eq!(read(&[verb, "0123"]).status, Some(3), "{verb}");
    }
    let doctor = read(&["doctor"]);
    assert_eq!(doctor.status, Some(0), "{doctor:?}");
    assert!(doctor.stdout.contains("does not exist yet; the first launch creates it"), "{doctor:?}");
    // An existing empty directory stays empty.
    std::fs::create_dir(setup.home.path()).unwrap();
    std::fs::set_permissions(setup.home.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(setup.run(&["list", "--json"]).stdout, "[]\n");
    assert_eq!(setup.home.path().read_dir().unwrap().count(), 0);
    setup.finished("true");
    assert_eq!(setup.run(&["list", "--json"]).json().as_array().unwrap().len(), 1);
}
