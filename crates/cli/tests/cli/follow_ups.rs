//! Which commands acknowledge a result.

use crate::setup::Setup;

#[test]
fn waiting_for_a_job_or_reading_its_result_acknowledges_it() {
    let setup = Setup::new();
    for verb in ["wait", "result"] {
        let id = setup.finished_with(&["--session", "chat-1"], "true");
        assert_eq!(setup.follow_up(&id), "pending");
        let answer = setup.run_as("chat-1", &[verb, &id]);
        assert_eq!((answer.status, answer.stderr.as_str()), (Some(0), ""), "{verb}");
        assert_eq!(setup.follow_up(&id), "acknowledged", "{verb}");
    }
    let id = setup.finished_with(&["--session", "chat-1"], "true");
    setup.run(&["wait", "--session", "chat-1", &id]);
    assert_eq!(setup.follow_up(&id), "acknowledged");
}

#[test]
fn reading_by_another_session_acknowledges_nothing() {
    let setup = Setup::new();
    let id = setup.finished_with(&["--session", "chat-1"], "true");
    let note = format!(
        "homing: note: job {id} belongs to session chat-1; its follow-up stays pending (run homing ack {id} to acknowledge it)\n"
    );
    for verb in ["wait", "result"] {
        let answer = setup.run_as("chat-2", &[verb, &id]);
        assert_eq!((answer.status, &answer.stderr), (Some(0), &note), "{verb}");
        assert_eq!(setup.follow_up(&id), "pending", "{verb}");
    }
    // A dropped follow-up is not open, so no note is printed.
    setup.run(&["drop", &id]);
    assert_eq!(setup.run_as("chat-2", &["wait", &id]).stderr, "");
    assert_eq!(setup.follow_up(&id), "suppressed");
}

#[test]
fn read_only_commands_acknowledge_nothing() {
    let setup = Setup::new();
    let id = setup.finished("true");
    for arguments in [&["show", &id][..], &["output", &id], &["list"], &["follow-ups"]] {
        assert_eq!(setup.run(arguments).status, Some(0));
        assert_eq!(setup.follow_up(&id), "pending", "{arguments:?}");
    }
}

#[test]
fn a_session_gets_no_result_for_a_job_that_it_killed() {
    let setup = Setup::new();
    let own = setup.launch_with(&["--session", "chat-1"], "sleep MARK");
    setup.run_as("chat-1", &["kill", &own]);
    assert_eq!(setup.job(&own)["outcome"]["reason"], "session");
    assert_eq!(setup.follow_up(&own), "suppressed");

    let other = setup.launch_with(&["--session", "chat-1"], "sleep MARK");
    setup.run_as("chat-2", &["kill", &other]);
    assert_eq!(setup.job(&other)["outcome"]["reason"], "operator");
    assert_eq!(setup.follow_up(&other), "pending");

    let nameless = setup.launch("sleep MARK");
    setup.kill(&nameless);
    assert_eq!(setup.follow_up(&nameless), "suppressed", "the default session is a session too");
}

#[test]
fn a_follow_up_is_acknowledged_retried_and_dropped() {
    let setup = Setup::new();
    let id = setup.finished("true");
    for (verb, state) in
        [("ack", "acknowledged"), ("retry", "pending"), ("drop", "suppressed"), ("retry", "pending")]
    {
        let answer = setup.run(&[verb, &id]);
        assert_eq!((answer.status, answer.stdout), (Some(0), format!("{id}  follow-up {state}  true\n")));
        assert_eq!(setup.follow_up(&id), state);
    }
}

#[test]
fn an_unfinished_job_can_be_dropped_but_not_acknowledged() {
    let setup = Setup::new();
    let (finished, running) = (setup.finished("true"), setup.launch("sleep MARK"));
    for verb in ["ack", "retry"] {
        let answer = setup.run(&[verb, &finished, &running]);
        assert_eq!(answer.status, Some(1), "{answer:?}");
        assert!(answer.stderr.contains("a follow-up that is waiting cannot be"), "{answer:?}");
    }
    assert_eq!(setup.follow_up(&finished), "pending", "all or none");
    assert_eq!(setup.run(&["drop", &running]).status, Some(0));
    assert_eq!(setup.follow_up(&running), "suppressed");
    setup.kill(&running);
}

#[test]
fn follow_ups_are_listed_by_session_and_state() {
    let setup = Setup::new();
    let one = setup.finished_with(&["--session", "chat-1"], "true");
    let two = setup.finished_with(&["--session", "chat-2"], "exit 1");
    let none = setup.finished_with(&["--follow-up", "failure"], "true");
    let listed = |arguments: &[&str]| -> Vec<String> {
        let answer = setup.run(&[&["follow-ups"], arguments].concat());
        assert_eq!(answer.status, Some(0));
        answer.stdout.lines().skip(1).map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    assert_eq!(listed(&[]), [two.clone(), one.clone()]);
    assert_eq!(listed(&["--limit", "1"]), std::slice::from_ref(&two));
    assert_eq!(listed(&["--session", "chat-1"]), [one]);
    assert_eq!(listed(&["--state", "suppressed"]), [none]);
    assert_eq!(listed(&["--state", "dead"]), Vec::<String>::new());
    let answer = setup.run(&["follow-ups", "--session", "chat-3"]);
    assert_eq!(answer.stderr, "homing: no follow-ups to show\n");
}
