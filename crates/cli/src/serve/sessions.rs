//! The route about sessions: their jobs in numbers, and whether they will be notified.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use homing::core::Timestamp;
use homing::{Homing, Job, JobId, Origin, SessionId, SessionSummary};
use serde::Serialize;

use super::answer::{Answered, json};
use super::app::{App, Grant};
use super::problem::Problem;
use crate::render::notification::Notification;
use crate::setup::has_waiting_hook;

/// Sessions whose prospect is found out: those with the newest jobs. It takes a look at the files of a harness for each.
const MAX_PROSPECTS: usize = 100;

#[derive(Serialize)]
struct SessionsDocument<'a> {
    sessions: Vec<SessionDocument<'a>>,
}

#[derive(Serialize)]
struct SessionDocument<'a> {
    session: &'a SessionId,
    running: u64,
    finished: u64,
    open_follow_ups: u64,
    dead: u64,
    last_launch_at: Option<Timestamp>,
    newest_job: JobId,
    /// Whether the session will be notified of its newest job.
    prospect: Option<Notification>,
}

/// The sessions, the one with the newest job first.
#[cfg_attr(test, utoipa::path(
    get,
    path = "/api/v1/sessions",
    operation_id = "list_sessions",
    tag = "sessions",
    responses((status = 200, description = "The sessions.", body = super::schema::SessionsDocument)),
))]
pub(super) async fn list(State(app): State<Arc<App>>, grant: Grant) -> Answered {
    app.on_home(move |homing| {
        let mut sessions = homing.sessions()?;
        if let Some(own) = grant.session() {
            sessions.retain(|summary| summary.session == *own);
        }
        let prospects = prospects(&homing, &sessions[..sessions.len().min(MAX_PROSPECTS)])?;
        let sessions = sessions.iter().map(|summary| document(summary, &prospects)).collect();
        Ok(json(&SessionsDocument { sessions }))
    })
    .await
}

fn document<'a>(
    summary: &'a SessionSummary,
    prospects: &HashMap<JobId, Notification>,
) -> SessionDocument<'a> {
    SessionDocument {
        session: &summary.session,
        running: summary.running,
        finished: summary.finished,
        open_follow_ups: summary.open_follow_ups,
        dead: summary.dead,
        last_launch_at: summary.last_launch_at,
        newest_job: summary.newest_job,
        prospect: prospects.get(&summary.newest_job).cloned(),
    }
}

/// Whether these sessions will be notified, by their newest jobs.
fn prospects(homing: &Homing, sessions: &[SessionSummary]) -> Result<HashMap<JobId, Notification>, Problem> {
    if sessions.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = sessions.iter().map(|summary| summary.newest_job).collect();
    let jobs = homing.list(&homing::ListOptions { ids, ..homing::ListOptions::default() })?;
    let prospect = |job: &Job| {
        let reader = Origin { session: job.session.clone(), harness: job.harness.clone() };
        homing.prospect(job, &reader, || has_waiting_hook(&reader)).map(|prospect| (job.id, prospect.into()))
    };
    Ok(jobs.iter().map(prospect).collect::<homing::Result<_>>()?)
}
