//! Follow-ups: acknowledge, retry, drop.

use serde_json::{Value, json};

use crate::server::{Server, Setup};

fn states(jobs: &Value) -> Vec<(String, String)> {
    let jobs = jobs["jobs"].as_array().expect("jobs");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    jobs.iter().map(|job| (text(&job["id"]), text(&job["follow_up"]["state"]))).collect()
}

fn change(server: &Server, verb: &str, jobs: &[&str]) -> Vec<(String, String)> {
    states(&server.post(&format!("/api/v1/follow-ups/{verb}"), &json!({"jobs": jobs})).expect(200))
}

#[test]
fn results_are_acknowledged_retried_and_dropped() {
    let setup = Setup::new();
    let server = setup.serve();
    let (one, other) = (server.finished("true"), server.finished("false"));
    let open = |state: &str| states(&server.get(&format!("/api/v1/follow-ups{state}")).expect(200));
    let pair = |id: &str, state: &str| (id.to_owned(), state.to_owned());
    assert_eq!(open(""), [pair(&other, "pending"), pair(&one, "pending")]);
    assert_eq!(change(&server, "acknowledge", &[&one, &one[..8]]), [pair(&one, "acknowledged")]);
    assert_eq!(open(""), [pair(&other, "pending")]);
    assert_eq!(open("?state=acknowledged"), [pair(&one, "acknowledged")]);
    assert_eq!(change(&server, "retry", &[&one]), [pair(&one, "pending")]);
    assert_eq!(
        change(&server, "drop", &[&other, &one]),
        [pair(&other, "suppressed"), pair(&one, "suppressed")]
    );
    assert_eq!(open(""), []);
    let page = server.get("/api/v1/follow-ups?state=suppressed&limit=1").expect(200);
    assert_eq!((states(&page).len(), &page["has_more"]), (1, &json!(true)));
    for query in ["?state=x", "?limit=0", "?limit=501", "?x=1"] {
        assert_eq!(server.get(&format!("/api/v1/follow-ups{query}")).status, 400, "{query}");
    }
}

#[test]
fn if_one_job_cannot_be_changed_none_is() {
    let setup = Setup::new();
    let server = setup.serve();
    let (finished, running) = (server.finished("true"), server.launch(&setup.marked("sleep MARK")));
    for verb in ["acknowledge", "retry"] {
        let path = format!("/api/v1/follow-ups/{verb}");
        let conflict = server.post(&path, &json!({"jobs": [finished, running]}));
        assert_eq!(conflict.problem(409), "follow_up_conflict");
        let missing = server.post(&path, &json!({"jobs": [finished, "000000000000"]}));
        assert_eq!(missing.problem(404), "no_such_job");
    }
    assert_eq!(setup.follow_up(&finished), "pending");
    for jobs in [json!([]), json!(vec!["000000000000"; 501]), json!("x"), json!([1])] {
        let answer = server.post("/api/v1/follow-ups/acknowledge", &json!({"jobs": jobs}));
        assert_eq!(answer.problem(400), "invalid_request");
    }
    server.post(&format!("/api/v1/jobs/{running}/kill"), &json!({})).expect(200);
}
