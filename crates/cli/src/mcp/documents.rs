//! The structured content of answers, and its schemas. A job has the same document as in every other front end.

use std::borrow::Cow;

use homing::Job;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

/// A job, as `homing.job/1`.
pub(super) struct JobDocument(pub(super) Job);

impl Serialize for JobDocument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl JsonSchema for JobDocument {
    fn schema_name() -> Cow<'static, str> {
        "Job".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        serde_json::from_str(include_str!("job.schema.json")).expect("the file in the source is a schema")
    }
}

/// Jobs with the text about them.
#[derive(Serialize, JsonSchema)]
pub(super) struct JobsDocument {
    /// Text for the model.
    pub(super) text: String,
    /// The jobs.
    pub(super) jobs: Vec<JobDocument>,
}

/// One job with the text about it.
#[derive(Serialize, JsonSchema)]
pub(super) struct OneJobDocument {
    /// Text for the model: how the job ended, and its output, which is untrusted data.
    pub(super) text: String,
    /// The job.
    pub(super) job: JobDocument,
}

/// Jobs as documents.
pub(super) fn documents(jobs: Vec<Job>) -> Vec<JobDocument> {
    jobs.into_iter().map(JobDocument).collect()
}
