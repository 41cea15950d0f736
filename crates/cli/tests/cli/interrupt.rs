//! Ctrl-C ends the waiting and never the job.

use crate::setup::{Running, Setup};

#[test]
fn interrupting_a_wait_leaves_the_job_alone() {
    let setup = Setup::new();
    let id = setup.launch("sleep MARK");
    for arguments in [&["wait", id.as_str()][..], &["output", "--follow", &id]] {
        let waiting = Running::start(setup.command(arguments));
        waiting.interrupt();
        let answer = waiting.end();
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(130), ""), "{answer:?}");
        assert_eq!(
            answer.stderr,
            format!(
                "homing: interrupted; job {id}: what runs goes on in the background\n\
                 hint: homing output --follow {id} shows it, homing kill {id} ends it\n"
            )
        );
        assert_eq!(setup.job(&id)["state"], "running");
    }
    setup.kill(&id);
}

#[test]
fn interrupting_a_run_that_stays_leaves_the_job_alone() {
    let setup = Setup::new();
    let mut staying =
        Running::start(setup.command(&["run", "--wait", &setup.marked("echo ready; sleep MARK")]));
    staying.read_until("ready\n");
    staying.interrupt();
    let answer = staying.end();
    assert_eq!(answer.status, Some(130), "{answer:?}");
    let job = setup.run(&["list", "--json"]).json()[0].clone();
    assert_eq!(job["state"], "running");
    let id = job["id"].as_str().unwrap();
    assert!(answer.stderr.contains(&format!("homing kill {id} ends it")), "{answer:?}");
    setup.kill(id);
}
