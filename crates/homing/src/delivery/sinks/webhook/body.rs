//! The body of a webhook: the wake in an envelope, shortened if it would be longer than receivers accept. The
//! shortening depends on the wake alone, so that every attempt sends the same content.

use homing_core::text::grouped;
use homing_core::{Timestamp, Wake};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body is shorter than this, in bytes, as the specification recommends.
pub(super) const LIMIT_BYTES: usize = 20_000;

/// The event's name.
const EVENT_TYPE: &str = "job.finished";

/// Minimum length of the text, in bytes of JSON, before jobs are left out.
const TEXT_FLOOR_BYTES: usize = 8_000;

/// Room for the line that marks an omission in a text, in bytes.
const OMISSION_BYTES: usize = 64;

/// Longest name, command or error of a reduced job, in bytes of JSON.
const FIELD_BYTES: usize = 200;

#[derive(Serialize)]
struct Event<T> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: T,
}

/// A shortened wake. Its fields have the same meaning as in the full one.
#[derive(Serialize)]
struct ShortWake<'a, T> {
    schema: &'static str,
    id: String,
    session: &'a str,
    attempt: u32,
    text: String,
    jobs: &'a T,
    #[serde(skip_serializing_if = "is_zero")]
    jobs_omitted: usize,
}

/// A job's document with fewer fields.
#[derive(Serialize, Deserialize)]
struct ShortJob {
    id: String,
    session: String,
    name: Option<String>,
    command: String,
    state: String,
    outcome: Option<Value>,
    succeeded: Option<bool>,
    ended_at: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde wants")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Writes the body of a wake, shorter than [`LIMIT_BYTES`]. Attempts differ only in the attempt's number.
pub(super) fn event_body(wake: &Wake) -> String {
    // Measure with the longest number: otherwise a later attempt could be cut at another place.
    let longest = Wake { attempt: u32::MAX, ..wake.clone() };
    if event(wake, &longest).len() < LIMIT_BYTES {
        return event(wake, wake);
    }
    let text = &wake.content.text;
    let shorten = |jobs: &dyn Fn(String, u32) -> String, floor: usize| {
        let room = (LIMIT_BYTES - 1).checked_sub(jobs(String::new(), u32::MAX).len())?;
        (room >= floor).then(|| jobs(cut_middle(text, room), wake.attempt))
    };
    let floor = TEXT_FLOOR_BYTES.min(json_length(text));
    let whole_jobs = |text, attempt| short_event(wake, text, attempt, &wake.content.jobs, 0);
    if let Some(body) = shorten(&whole_jobs, floor) {
        return body;
    }
    let jobs = short_jobs(wake);
    let all = wake.content.job_ids.len();
    (0..=jobs.len())
        .rev()
        .find_map(|kept| {
            let some_jobs =
                |text, attempt| short_event(wake, text, attempt, &&jobs[..kept], all.saturating_sub(kept));
            shorten(&some_jobs, floor)
        })
        .expect("without jobs an event is a few hundred bytes and its text")
}

fn event(wake: &Wake, data: &Wake) -> String {
    to_json(&Event { r#type: EVENT_TYPE, timestamp: wake.created_at, data })
}

fn short_event<T: Serialize>(wake: &Wake, text: String, attempt: u32, jobs: &T, omitted: usize) -> String {
    let data = ShortWake {
        schema: Wake::SCHEMA,
        id: wake.id.to_string(),
        session: wake.session.as_str(),
        attempt,
        text,
        jobs,
        jobs_omitted: omitted,
    };
    to_json(&Event { r#type: EVENT_TYPE, timestamp: wake.created_at, data })
}

fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("an event has no part that JSON cannot hold")
}

/// The jobs with the fields that identify them.
fn short_jobs(wake: &Wake) -> Vec<ShortJob> {
    let mut jobs: Vec<ShortJob> = serde_json::from_str(wake.content.jobs.as_json()).unwrap_or_default();
    for job in &mut jobs {
        job.command = cut_end(&job.command);
        job.name = job.name.as_deref().map(cut_end);
        if let Some(Value::String(error)) = job.outcome.as_mut().and_then(|outcome| outcome.get_mut("error"))
        {
            *error = cut_end(error);
        }
    }
    jobs
}

/// Cuts the middle of a text, so that the rest fits into `room` bytes of JSON.
fn cut_middle(text: &str, room: usize) -> String {
    if json_length(text) <= room {
        return text.to_owned();
    }
    let half = room.saturating_sub(OMISSION_BYTES) / 2;
    let head = fitting(text.chars(), half);
    let tail = fitting(text.chars().rev(), half);
    let omitted = text.chars().count() - head.chars().count() - tail.chars().count();
    let tail: String = tail.chars().rev().collect();
    format!("{head}\n… {} characters omitted …\n{tail}", grouped(omitted as u64))
}

fn cut_end(text: &str) -> String {
    if json_length(text) <= FIELD_BYTES {
        return text.to_owned();
    }
    fitting(text.chars(), FIELD_BYTES - '…'.len_utf8()) + "…"
}

/// The first characters, up to `bytes` of JSON.
fn fitting(chars: impl Iterator<Item = char>, bytes: usize) -> String {
    let mut length = 0;
    chars
        .take_while(|c| {
            length += json_length_of(*c);
            length <= bytes
        })
        .collect()
}

fn json_length(text: &str) -> usize {
    text.chars().map(json_length_of).sum()
}

/// The number of bytes that serde_json writes for a character of a string.
fn json_length_of(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use homing_core::{JobDocuments, WakeContent};
    use serde_json::json;

    use super::super::tests::{job_json, wake};
    use super::*;

    fn parsed(wake: &Wake) -> Value {
        let body = event_body(wake);
        assert!(body.len() < LIMIT_BYTES, "{} bytes", body.len());
        serde_json::from_str(&body).unwrap()
    }

    fn with_jobs(text: &str, jobs: &[Value]) -> Wake {
        let ids = jobs.iter().map(|job| job["id"].as_str().unwrap().parse().unwrap()).collect();
        let jobs = JobDocuments::from_json(serde_json::to_string(jobs).unwrap()).unwrap();
        Wake { content: WakeContent { text: text.to_owned(), job_ids: ids, jobs }, ..wake() }
    }

    #[test]
    fn a_wake_that_fits_comes_whole() {
        let wake = with_jobs("all is well", &[job_json(1)]);
        let expected = json!({
            "type": "job.finished",
            "timestamp": "2026-11-22T11:00:00.123Z",
            "data": serde_json::from_str::<Value>(&wake.to_json()).unwrap(),
        });
        assert_eq!(parsed(&wake), expected);
        assert!(event_body(&wake).starts_with("{\"type\":\"job.finished\",\"timestamp\""));
    }

    #[test]
    fn a_long_text_is_cut_in_its_middle_and_the_jobs_stay_whole() {
        let text = format!("beginning{}end", "\u{1f980}".repeat(16_000));
        let body = parsed(&with_jobs(&text, &[job_json(1), job_json(2)]));
        let short = body["data"]["text"].as_str().unwrap();
        assert!(short.starts_with("beginning\u{1f980}") && short.ends_with("\u{1f980}end"));
        let kept = short.matches('\u{1f980}').count();
        assert!(short.contains(&format!("\n… {} characters omitted …\n", grouped(16_000 - kept as u64))));
        assert_eq!(body["data"]["jobs"], json!([job_json(1), job_json(2)]));
        assert_eq!(body["data"].get("jobs_omitted"), None);
    }

    #[test]
    fn many_jobs_are_reduced_before_any_is_left_out() {
        let jobs: Vec<Value> = (0..50).map(job_json).collect();
        let body = parsed(&with_jobs(&"\u{e9}\"".repeat(8_000), &jobs));
        let kept = body["data"]["jobs"].as_array().unwrap();
        assert_eq!(kept.len(), 50);
        assert_eq!(body["data"].get("jobs_omitted"), None);
        assert_eq!(
            kept[3],
            json!({
                "id": jobs[3]["id"], "session": "chat-1", "name": null, "command": "make test",
                "state": "finished", "outcome": {"kind": "exited", "exit_code": 1}, "succeeded": false,
                "ended_at": "2026-11-22T11:00:00.000Z",
            })
        );
        assert!(body["data"]["text"].as_str().unwrap().contains(" characters omitted …"));
    }

    #[test]
    fn jobs_are_left_out_from_the_end_and_counted() {
        let mut jobs: Vec<Value> = (0..50).map(job_json).collect();
        for job in &mut jobs {
            job["command"] = json!("\u{1f980}".repeat(900));
            job["name"] = json!("\\".repeat(900));
        }
        let body = parsed(&with_jobs(&"\u{1f980}".repeat(16_000), &jobs));
        let kept = body["data"]["jobs"].as_array().unwrap();
        assert!(kept.len() > 10, "{} jobs kept", kept.len());
        assert_eq!(body["data"]["jobs_omitted"], json!(50 - kept.len()));
        for (kept, job) in kept.iter().zip(&jobs) {
            assert_eq!(kept["id"], job["id"]);
        }
        let text = body["data"]["text"].as_str().unwrap();
        assert!(text.len() > TEXT_FLOOR_BYTES - 2 * OMISSION_BYTES, "{} bytes of text", text.len());
    }

    #[test]
    fn long_fields_of_reduced_jobs_are_cut() {
        let mut job = job_json(1);
        job["command"] = json!("\u{1}".repeat(60_000));
        job["name"] = json!("\u{1f980}".repeat(200));
        job["outcome"] = json!({"kind": "failed_to_start", "error": "x".repeat(60_000), "errno": 2});
        let body = parsed(&with_jobs("short", &[job]));
        let job = &body["data"]["jobs"][0];
        assert_eq!(job["command"], json!(format!("{}…", "\u{1}".repeat(32))));
        assert_eq!(job["name"], json!(format!("{}…", "\u{1f980}".repeat(49))));
        assert_eq!(job["outcome"]["error"], json!(format!("{}…", "x".repeat(197))));
        assert_eq!(body["data"]["text"], json!("short"));
    }

    #[test]
    fn attempts_differ_in_their_number_alone() {
        for length in (0..22_000).step_by(37) {
            let first = with_jobs(&"x".repeat(length), &[job_json(1)]);
            let tenth = Wake { attempt: 1_000, ..first.clone() };
            assert_eq!(
                event_body(&first).replace("\"attempt\":1,", "\"attempt\":1000,"),
                event_body(&tenth),
                "{length} characters"
            );
        }
    }

    #[test]
    fn lengths_are_those_that_are_written() {
        for c in ('\0'..='\u{100}').chain(['…', '\u{2028}', '\u{1f980}']) {
            let written = serde_json::to_string(&c).unwrap().len() - 2;
            assert_eq!(json_length_of(c), written, "{c:?}");
        }
    }
}
