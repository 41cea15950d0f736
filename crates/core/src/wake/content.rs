//! The content of a wake. It is written once, before the first attempt, and never changes.

use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::WakeId;
use crate::{Job, JobId, SessionId, Timestamp};

/// The part of a wake that is identical in every attempt.
#[derive(Clone, Debug)]
pub struct WakeContent {
    /// The text for the agent.
    pub text: String,
    /// The jobs in the wake, failures first.
    pub job_ids: Vec<JobId>,
    /// Their documents (`homing.job/1`) at that time, in the same order.
    pub jobs: JobDocuments,
}

/// Job documents as they were written: a JSON array whose bytes never change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobDocuments(Box<RawValue>);

impl JobDocuments {
    /// Writes the documents of these jobs.
    pub fn new(jobs: &[Job]) -> JobDocuments {
        let json = serde_json::to_string(jobs).expect("a job's document has no part that JSON cannot hold");
        JobDocuments(RawValue::from_string(json).expect("what was just written is JSON"))
    }

    /// Takes documents that were written before.
    ///
    /// # Errors
    /// If the text is not JSON.
    pub fn from_json(text: String) -> serde_json::Result<JobDocuments> {
        RawValue::from_string(text).map(JobDocuments)
    }

    /// The JSON array.
    pub fn as_json(&self) -> &str {
        self.0.get()
    }
}

impl WakeContent {
    /// Creates the content from a text and its jobs.
    pub fn new(text: String, jobs: &[Job]) -> WakeContent {
        WakeContent { text, job_ids: jobs.iter().map(|job| job.id).collect(), jobs: JobDocuments::new(jobs) }
    }

    /// Parses the documents in [`WakeContent::jobs`]: the jobs as they were when the wake was written, in the same
    /// order.
    ///
    /// # Errors
    /// If a newer version wrote a state or an outcome that this version does not know.
    pub fn jobs(&self) -> serde_json::Result<Vec<Job>> {
        serde_json::from_str(self.jobs.as_json())
    }
}

/// One message for one session, as a sink receives it. Its JSON form is the document `homing.wake/1`.
#[derive(Clone, Debug)]
pub struct Wake {
    /// Its id, identical in every attempt.
    pub id: WakeId,
    /// The session that receives it.
    pub session: SessionId,
    /// Which attempt this is; the first is 1. An attempt that was put off because the session was busy does not
    /// count.
    pub attempt: u32,
    /// When its content was written.
    pub created_at: Timestamp,
    /// Its content.
    pub content: WakeContent,
}

impl Wake {
    /// The schema name of its document.
    pub const SCHEMA: &str = "homing.wake/1";

    /// The number of fields of its document.
    pub(super) const FIELDS: usize = 6;

    /// Writes the fields of its document.
    pub(super) fn serialize_fields<D: SerializeStruct>(&self, document: &mut D) -> Result<(), D::Error> {
        document.serialize_field("schema", Wake::SCHEMA)?;
        document.serialize_field("id", &self.id)?;
        document.serialize_field("session", &self.session)?;
        document.serialize_field("attempt", &self.attempt)?;
        document.serialize_field("text", &self.content.text)?;
        document.serialize_field("jobs", &self.content.jobs)
    }

    /// Returns the document that a command sink reads.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a wake has no part that JSON cannot hold")
    }
}

impl Serialize for Wake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_struct("Wake", Wake::FIELDS)?;
        self.serialize_fields(&mut document)?;
        document.end()
    }
}
