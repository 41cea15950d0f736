//! The document `homing.job/1`: one job as JSON, as every front end shows it. New versions may add fields but never
//! remove or change them. Readers ignore fields that they do not know.

use std::path::PathBuf;
use std::time::Duration;

use serde::de::Error;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    DEFAULT_GRACE, DEFAULT_HEAD_BYTES, DEFAULT_TAIL_BYTES, Finished, FollowUp, FollowUpPolicy, Job,
    JobCommand, JobId, JobKey, JobLimits, JobState, Leftover, LeftoverPolicy, Outcome, OutputSize, Recovery,
    SessionId, Shell, Started, StateName, Timestamp, as_millis,
};

const SCHEMA: &str = "homing.job/1";

impl Serialize for Job {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let started = self.state.started();
        let finished = self.state.finished();
        let no_leftovers = Vec::new();
        let argv = match &self.command {
            JobCommand::Script(_) => None,
            JobCommand::Argv(words) => Some(words),
        };
        let mut job = serializer.serialize_struct("Job", 34)?;
        job.serialize_field("schema", SCHEMA)?;
        job.serialize_field("id", &self.id)?;
        job.serialize_field("session", &self.session)?;
        job.serialize_field("key", &self.key)?;
        job.serialize_field("name", &self.name)?;
        job.serialize_field("command", &self.command.to_string())?;
        job.serialize_field("argv", &argv)?;
        if self.shell.is_bash() {
            job.skip_field("shell")?;
        } else {
            job.serialize_field("shell", &self.shell)?;
        }
        job.serialize_field("cwd", &self.cwd)?;
        if self.env_names.is_empty() {
            job.skip_field("env_names")?;
        } else {
            job.serialize_field("env_names", &self.env_names)?;
        }
        job.serialize_field("state", self.state.name().as_str())?;
        job.serialize_field("outcome", &self.outcome())?;
        job.serialize_field("succeeded", &self.outcome().map(Outcome::succeeded))?;
        job.serialize_field("pid", &started.map(|started| started.pid))?;
        job.serialize_field("created_at", &self.created_at)?;
        job.serialize_field("started_at", &started.map(|started| started.started_at))?;
        job.serialize_field("ended_at", &finished.map(|finished| finished.ended_at))?;
        job.serialize_field("duration_ms", &finished.and_then(|finished| finished.duration).map(as_millis))?;
        job.serialize_field("timeout_ms", &self.limits.timeout.map(as_millis))?;
        job.serialize_field("grace_ms", &as_millis(self.limits.grace))?;
        job.serialize_field("head_bytes", &self.limits.head_bytes)?;
        job.serialize_field("tail_bytes", &self.limits.tail_bytes)?;
        job.serialize_field("cpu_ms", &finished.and_then(|finished| finished.cpu).map(as_millis))?;
        job.serialize_field("peak_memory_bytes", &finished.and_then(|finished| finished.peak_memory_bytes))?;
        job.serialize_field("leftovers", finished.map_or(&no_leftovers, |finished| &finished.leftovers))?;
        match finished.map_or(0, |finished| finished.leftovers_omitted) {
            0 => job.skip_field("leftovers_omitted")?,
            omitted => job.serialize_field("leftovers_omitted", &omitted)?,
        }
        job.serialize_field("leftovers_policy", &self.leftovers)?;
        match finished.and_then(|finished| finished.recovery) {
            None => job.skip_field("recovery")?,
            Some(recovery) => job.serialize_field("recovery", &recovery)?,
        }
        job.serialize_field("output", &self.output)?;
        job.serialize_field("follow_up", &self.follow_up)?;
        job.serialize_field("follow_up_policy", &self.follow_up_policy)?;
        job.serialize_field("harness", &self.harness)?;
        job.serialize_field("sink", &self.sink)?;
        match &self.executor {
            None => job.skip_field("executor")?,
            Some(executor) => job.serialize_field("executor", executor)?,
        }
        job.end()
    }
}

/// Reads the document. Fields that older versions did not write have their defaults. A command without `argv` is a
/// script.
impl<'de> Deserialize<'de> for Job {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Job, D::Error> {
        Document::deserialize(deserializer)?.into_job()
    }
}

#[derive(Deserialize)]
struct Document {
    schema: String,
    id: JobId,
    session: SessionId,
    key: Option<JobKey>,
    name: Option<String>,
    command: String,
    argv: Option<Vec<String>>,
    #[serde(default)]
    shell: Shell,
    cwd: PathBuf,
    #[serde(default)]
    env_names: Vec<String>,
    state: String,
    outcome: Option<Outcome>,
    pid: Option<u32>,
    created_at: Timestamp,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    duration_ms: Option<u64>,
    timeout_ms: Option<u64>,
    grace_ms: Option<u64>,
    head_bytes: Option<u64>,
    tail_bytes: Option<u64>,
    cpu_ms: Option<u64>,
    peak_memory_bytes: Option<u64>,
    #[serde(default)]
    leftovers: Vec<Leftover>,
    #[serde(default)]
    leftovers_omitted: u32,
    #[serde(default)]
    leftovers_policy: LeftoverPolicy,
    recovery: Option<Recovery>,
    output: OutputSize,
    follow_up: FollowUp,
    #[serde(default)]
    follow_up_policy: FollowUpPolicy,
    harness: Option<String>,
    sink: Option<String>,
    executor: Option<String>,
}

impl Document {
    fn into_job<E: Error>(self) -> Result<Job, E> {
        if self.schema != SCHEMA {
            return Err(E::custom(format!("unknown schema {:?}", self.schema)));
        }
        let limits = JobLimits {
            timeout: self.timeout_ms.map(Duration::from_millis),
            grace: self.grace_ms.map_or(DEFAULT_GRACE, Duration::from_millis),
            head_bytes: self.head_bytes.unwrap_or(DEFAULT_HEAD_BYTES),
            tail_bytes: self.tail_bytes.unwrap_or(DEFAULT_TAIL_BYTES),
        };
        let started = match (self.pid, self.started_at) {
            (Some(pid), Some(started_at)) => Some(Started { pid, started_at }),
            (None, None) => None,
            (Some(_), None) => return Err(E::missing_field("started_at")),
            (None, Some(_)) => return Err(E::missing_field("pid")),
        };
        let state = match StateName::from_name(&self.state) {
            Some(StateName::Starting) => JobState::Starting,
            Some(StateName::Running) => JobState::Running(started.ok_or_else(|| E::missing_field("pid"))?),
            Some(StateName::Finished) => JobState::Finished(Finished {
                outcome: self.outcome.ok_or_else(|| E::missing_field("outcome"))?,
                started,
                ended_at: self.ended_at.ok_or_else(|| E::missing_field("ended_at"))?,
                duration: self.duration_ms.map(Duration::from_millis),
                cpu: self.cpu_ms.map(Duration::from_millis),
                peak_memory_bytes: self.peak_memory_bytes,
                leftovers: self.leftovers,
                leftovers_omitted: self.leftovers_omitted,
                recovery: self.recovery,
            }),
            None => return Err(E::custom(format!("unknown state {:?}", self.state))),
        };
        Ok(Job {
            id: self.id,
            session: self.session,
            key: self.key,
            name: self.name,
            command: self.argv.map_or(JobCommand::Script(self.command), JobCommand::Argv),
            shell: self.shell,
            cwd: self.cwd,
            env_names: self.env_names,
            created_at: self.created_at,
            limits,
            leftovers: self.leftovers_policy,
            follow_up_policy: self.follow_up_policy,
            harness: self.harness,
            sink: self.sink,
            executor: self.executor,
            state,
            output: self.output,
            follow_up: self.follow_up,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{FollowUpState, KilledBy, LeftoverFate, LostReason, Signal, StartError, WakeContent};

    fn every_outcome() -> Vec<Outcome> {
        let mut all =
            vec![Outcome::Exited { exit_code: 0 }, Outcome::Exited { exit_code: 3 }, Outcome::TimedOut];
        all.push(Outcome::Signaled { signal: Signal::from_number(11) });
        all.extend([None, Some(2)].map(|errno| Outcome::FailedToStart {
            error: StartError { message: "cannot run \"nope\"".to_owned(), errno },
        }));
        all.extend(KilledBy::ALL.map(|by| Outcome::Killed { by }));
        all.extend(LostReason::ALL.map(|reason| Outcome::Lost { reason }));
        all
    }

    fn times() -> impl Strategy<Value = Timestamp> {
        (0_i64..4_102_444_800_000).prop_map(Timestamp::from_unix_millis)
    }

    fn durations() -> impl Strategy<Value = Duration> {
        any::<u32>().prop_map(|millis| Duration::from_millis(millis.into()))
    }

    fn started() -> impl Strategy<Value = Started> {
        (any::<u32>(), times()).prop_map(|(pid, started_at)| Started { pid, started_at })
    }

    fn leftovers() -> impl Strategy<Value = Vec<Leftover>> {
        let fates = [LeftoverFate::Ended, LeftoverFate::Kept, LeftoverFate::Survived, LeftoverFate::Spared];
        let one = (any::<u32>(), any::<String>(), prop::sample::select(fates.to_vec()));
        prop::collection::vec(one.prop_map(|(pid, name, fate)| Leftover { pid, name, fate }), 0..3)
    }

    fn finished() -> impl Strategy<Value = Finished> {
        let measures = (prop::option::of(durations()), prop::option::of(durations()), any::<Option<u64>>());
        let recovery = prop::option::of(prop::sample::select(Recovery::ALL.to_vec()));
        let outcome = prop::sample::select(every_outcome());
        (outcome, prop::option::of(started()), times(), measures, leftovers(), any::<u32>(), recovery)
            .prop_map(
                |(
                    outcome,
                    started,
                    ended_at,
                    (duration, cpu, peak_memory_bytes),
                    leftovers,
                    omitted,
                    recovery,
                )| {
                    let leftovers_omitted = omitted;
                    Finished {
                        outcome,
                        started,
                        ended_at,
                        duration,
                        cpu,
                        peak_memory_bytes,
                        leftovers,
                        leftovers_omitted,
                        recovery,
                    }
                },
            )
    }

    fn states() -> impl Strategy<Value = JobState> {
        prop_oneof![
            Just(JobState::Starting),
            started().prop_map(JobState::Running),
            finished().prop_map(JobState::Finished)
        ]
    }

    fn commands() -> impl Strategy<Value = JobCommand> {
        let word = "[^\0]{1,8}";
        prop_oneof![
            word.prop_map(JobCommand::Script),
            prop::collection::vec(word, 1..4).prop_map(JobCommand::Argv)
        ]
    }

    fn limits() -> impl Strategy<Value = JobLimits> {
        (prop::option::of(durations()), durations(), any::<u64>(), any::<u64>()).prop_map(
            |(timeout, grace, head_bytes, tail_bytes)| JobLimits { timeout, grace, head_bytes, tail_bytes },
        )
    }

    fn follow_ups() -> impl Strategy<Value = FollowUp> {
        let state = prop::sample::select(FollowUpState::ALL.to_vec());
        (state, any::<u32>(), prop::option::of(times()), any::<Option<String>>()).prop_map(
            |(state, attempts, next_attempt_at, last_error)| FollowUp {
                state,
                attempts,
                next_attempt_at,
                last_error,
            },
        )
    }

    fn jobs() -> impl Strategy<Value = Job> {
        use FollowUpPolicy::{Always, Failure, Never};
        let env_names = prop::collection::vec("[A-Z]{1,4}", 0..3);
        let names = (any::<Option<String>>(), any::<Option<String>>(), any::<Option<String>>(), env_names);
        let policies = (
            prop::sample::select(vec![LeftoverPolicy::Kill, LeftoverPolicy::Keep]),
            prop::sample::select(vec![Always, Failure, Never]),
        );
        let key = prop::option::of("[a-z]{1,9}");
        let size = any::<[u64; 3]>();
        (any::<[u8; 6]>(), key, names, commands(), times(), limits(), policies, states(), size, follow_ups())
            .prop_map(|(id, key, names, command, created_at, limits, policies, state, size, follow_up)| Job {
                id: JobId::from_random(id),
                session: "chat-1".parse().unwrap(),
                key: key.map(|key| key.parse().unwrap()),
                name: names.0,
                command,
                shell: Shell::ALL[usize::from(id[0]) % 3],
                cwd: "/srv/a b".into(),
                env_names: names.3,
                created_at,
                limits,
                leftovers: policies.0,
                follow_up_policy: policies.1,
                harness: names.1,
                executor: names.2.clone(),
                sink: names.2,
                state,
                output: OutputSize { total_bytes: size[0], omitted_bytes: size[1], dropped_bytes: size[2] },
                follow_up,
            })
    }

    /// Adds a field to every object of a document, as a newer version may.
    fn add_unknown_fields(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.values_mut().for_each(add_unknown_fields);
                fields.insert("added_later".to_owned(), json!([1]));
            }
            Value::Array(values) => values.iter_mut().for_each(add_unknown_fields),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    proptest! {
        #[test]
        fn document_parses_back_to_an_equal_job(job in jobs()) {
            let text = serde_json::to_string(&job).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Job>(&text).unwrap(), &job);
            let mut document: Value = serde_json::from_str(&text).unwrap();
            add_unknown_fields(&mut document);
            prop_assert_eq!(&serde_json::from_value::<Job>(document).unwrap(), &job);
            let content = WakeContent::new(String::new(), std::slice::from_ref(&job));
            prop_assert_eq!(content.jobs().unwrap(), [job]);
        }
    }

    fn document_of_an_older_version() -> Value {
        json!({
            "schema": "homing.job/1", "id": "3f9c0a1b2c4d", "session": "chat-1", "key": null, "name": null,
            "command": "make test", "cwd": "/srv/app", "state": "finished",
            "outcome": {"kind": "exited", "exit_code": 1}, "succeeded": false, "pid": 4711,
            "created_at": "2026-11-22T10:59:00.000Z", "started_at": "2026-11-22T10:59:00.000Z",
            "ended_at": "2026-11-22T11:00:00.000Z", "duration_ms": 60_000, "timeout_ms": 3_600_000, "cpu_ms": 17,
            "peak_memory_bytes": 1_048_576, "leftovers": [],
            "output": {"total_bytes": 17, "omitted_bytes": 0, "dropped_bytes": 0},
            "follow_up": {"state": "pending", "attempts": 0, "next_attempt_at": null, "last_error": null},
        })
    }

    #[test]
    fn fields_that_older_versions_did_not_write_have_their_defaults() {
        let job: Job = serde_json::from_value(document_of_an_older_version()).unwrap();
        assert_eq!(job.command, JobCommand::Script("make test".to_owned()));
        assert_eq!(job.limits, JobLimits::default());
        assert_eq!((job.harness, job.sink), (None, None));
        assert_eq!((job.leftovers, job.follow_up_policy), (LeftoverPolicy::Kill, FollowUpPolicy::Always));
    }

    #[test]
    fn contradictory_documents_are_refused() {
        for (field, value) in [
            ("schema", json!("homing.job/2")),
            ("state", json!("paused")),
            ("outcome", Value::Null),
            ("ended_at", Value::Null),
            ("pid", Value::Null),
            ("started_at", Value::Null),
        ] {
            let mut document = document_of_an_older_version();
            document[field] = value;
            assert!(serde_json::from_value::<Job>(document).is_err(), "{field}");
        }
    }
}
