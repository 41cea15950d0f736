//! The documents of the library as schemas of the description of the API. Tests compare real answers with them.
#![expect(dead_code, reason = "only the schemas are used")]

use utoipa::ToSchema;

/// A problem (RFC 9457). `code` is a name for programs, stable across versions.
#[derive(ToSchema)]
pub(super) struct Problem {
    /// The URL of the documentation of this code.
    r#type: String,
    /// The meaning of the status.
    title: String,
    /// The HTTP status.
    status: u16,
    /// A name for programs, stable across versions: the same as on the command line.
    code: String,
    /// What is wrong, for people.
    detail: String,
    /// What the caller can do.
    #[schema(required)]
    hint: Option<String>,
}

/// A job: `homing.job/1`. Readers ignore fields that they do not know. All texts that a caller chose are untrusted.
#[derive(ToSchema)]
#[schema(as = Job)]
pub(super) struct JobDocument {
    /// `homing.job/1`
    schema: String,
    /// 12 hexadecimal digits.
    id: String,
    session: String,
    #[schema(required)]
    key: Option<String>,
    #[schema(required)]
    name: Option<String>,
    /// The script, or the words of `argv` quoted for a shell.
    command: String,
    #[schema(required)]
    argv: Option<Vec<String>>,
    /// The shell of the script, unless it is `bash`.
    #[schema(nullable = false)]
    shell: Option<String>,
    cwd: String,
    /// Names of variables whose values are not stored.
    #[schema(nullable = false)]
    env_names: Option<Vec<String>>,
    #[schema(inline)]
    state: JobState,
    /// How it ended; `null` until then.
    #[schema(required)]
    outcome: Option<Outcome>,
    /// Whether it ended by itself with exit code 0.
    #[schema(required)]
    succeeded: Option<bool>,
    #[schema(required)]
    pid: Option<u32>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required, format = DateTime)]
    started_at: Option<String>,
    #[schema(required, format = DateTime)]
    ended_at: Option<String>,
    #[schema(required)]
    duration_ms: Option<u64>,
    /// The time limit; `null` for none.
    #[schema(required)]
    timeout_ms: Option<u64>,
    grace_ms: u64,
    head_bytes: u64,
    tail_bytes: u64,
    #[schema(required)]
    cpu_ms: Option<u64>,
    #[schema(required)]
    peak_memory_bytes: Option<u64>,
    leftovers: Vec<Leftover>,
    #[schema(nullable = false)]
    leftovers_omitted: Option<u32>,
    /// `kill` or `keep`
    leftovers_policy: String,
    /// What recovery must still do: `not_recorded` or `not_searched`.
    #[schema(nullable = false)]
    recovery: Option<String>,
    output: OutputSize,
    follow_up: FollowUp,
    /// `always`, `failure` or `never`
    follow_up_policy: String,
    #[schema(required)]
    harness: Option<String>,
    #[schema(required)]
    sink: Option<String>,
    /// The executor that runs it, on another machine.
    #[schema(nullable = false)]
    executor: Option<String>,
}

/// The state of a job.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum JobState {
    Starting,
    Running,
    Finished,
}

/// How a job ended. Its other fields depend on `kind`.
#[derive(ToSchema)]
struct Outcome {
    /// `exited`, `signaled`, `timed_out`, `killed`, `failed_to_start` or `lost`
    kind: String,
    #[schema(nullable = false)]
    exit_code: Option<i64>,
    #[schema(nullable = false)]
    signal: Option<String>,
    #[schema(nullable = false)]
    signal_number: Option<i32>,
    /// Who killed it, or why it is lost.
    #[schema(nullable = false)]
    reason: Option<String>,
    /// Why it could not be started.
    #[schema(nullable = false)]
    error: Option<String>,
    errno: Option<i32>,
}

/// A process that was still running after the main process had ended.
#[derive(ToSchema)]
struct Leftover {
    pid: u32,
    name: String,
    /// `ended`, `kept`, `survived` or `spared`
    fate: String,
}

/// The size of an output, in bytes.
#[derive(ToSchema)]
struct OutputSize {
    total_bytes: u64,
    omitted_bytes: u64,
    dropped_bytes: u64,
}

/// Whether the session has the result.
#[derive(ToSchema)]
struct FollowUp {
    /// `waiting`, `pending`, `handed_off`, `acknowledged`, `dead` or `suppressed`
    state: String,
    attempts: u32,
    #[schema(required, format = DateTime)]
    next_attempt_at: Option<String>,
    #[schema(required)]
    last_error: Option<String>,
}

/// A page of jobs.
#[derive(ToSchema)]
pub(super) struct JobPage {
    jobs: Vec<JobDocument>,
    /// Passed as `cursor`, it continues the list; `null` at the end.
    #[schema(required)]
    next_cursor: Option<String>,
    /// Jobs that a newer program wrote.
    unsupported: Vec<UnsupportedJob>,
}

/// A job that a newer program wrote in a format that this one does not support.
#[derive(ToSchema)]
struct UnsupportedJob {
    id: String,
    reason: String,
}

/// Jobs whose results are not acknowledged.
#[derive(ToSchema)]
pub(super) struct FollowUpPage {
    jobs: Vec<JobDocument>,
    has_more: bool,
}

/// Jobs.
#[derive(ToSchema)]
#[schema(as = Jobs)]
pub(super) struct JobsDocument {
    jobs: Vec<JobDocument>,
}

/// A wake, with its attempts.
#[derive(ToSchema)]
#[schema(as = WakeRecord)]
pub(super) struct WakeRecordDocument {
    id: String,
    session: String,
    /// The sink that delivers it; `null` if only hosts and hooks do.
    #[schema(required)]
    sink: Option<String>,
    /// `scheduled`, `in_flight`, `handed_off`, `delivered`, `dead` or `superseded`
    state: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(required, format = DateTime)]
    next_at: Option<String>,
    #[schema(required)]
    last_error: Option<String>,
    jobs: Vec<String>,
    attempts: Vec<Attempt>,
    /// The text that the agent reads, unless it is left out. Untrusted.
    #[schema(nullable = false)]
    text: Option<String>,
    /// The lease of the host that holds it.
    #[schema(required)]
    lease: Option<Lease>,
}

/// One attempt to deliver a wake.
#[derive(ToSchema)]
struct Attempt {
    number: u32,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(required, format = DateTime)]
    ended_at: Option<String>,
    /// `delivered`, `handed_off`, `claimed`, `printed`, `busy`, `gone`, `failed`, `answer_lost` or `lease_expired`
    #[schema(required)]
    result: Option<String>,
    #[schema(required)]
    error: Option<String>,
    /// Who claimed it.
    #[schema(required)]
    holder: Option<String>,
}

/// The right of a host to deliver a wake.
#[derive(ToSchema)]
struct Lease {
    id: String,
    holder: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A page of wakes.
#[derive(ToSchema)]
pub(super) struct WakePage {
    wakes: Vec<WakeRecordDocument>,
    has_more: bool,
}

/// The wakes of a job.
#[derive(ToSchema)]
#[schema(as = Wakes)]
pub(super) struct WakesDocument {
    wakes: Vec<WakeRecordDocument>,
}

/// A claimed wake: `homing.wake/1`, and its lease.
#[derive(ToSchema)]
pub(super) struct LeasedWake {
    /// `homing.wake/1`
    schema: String,
    id: String,
    session: String,
    attempt: u32,
    /// What the agent reads.
    text: String,
    jobs: Vec<JobDocument>,
    lease: Lease,
}

/// The sessions that have jobs.
#[derive(ToSchema)]
#[schema(as = Sessions)]
pub(super) struct SessionsDocument {
    sessions: Vec<SessionDocument>,
}

/// A session, in numbers.
#[derive(ToSchema)]
#[schema(as = Session)]
struct SessionDocument {
    session: String,
    running: u64,
    finished: u64,
    open_follow_ups: u64,
    dead: u64,
    #[schema(required, format = DateTime)]
    last_launch_at: Option<String>,
    newest_job: String,
    /// Whether the session will be notified of its newest job; `null` for all but the 100 newest sessions.
    #[schema(required)]
    prospect: Option<Notification>,
}

/// Whether and how a session will be notified.
#[derive(ToSchema)]
struct Notification {
    will_be_notified: bool,
    #[schema(required)]
    sink: Option<String>,
    #[schema(required)]
    reason: Option<String>,
}

/// Events, oldest first.
#[derive(ToSchema)]
#[schema(as = Events)]
pub(super) struct EventsDocument {
    events: Vec<EventDocument>,
    /// The cursor to continue from.
    next: String,
    /// Whether events after the cursor are not known any more: read everything again.
    truncated: bool,
    has_more: bool,
}

/// An event: `homing.event/1`. Readers ignore types and fields that they do not know; which fields there are depends on the
/// type.
#[derive(ToSchema)]
#[schema(as = Event)]
pub(super) struct EventDocument {
    /// `homing.event/1`
    schema: String,
    cursor: String,
    /// Such as `job.finished`.
    r#type: String,
    #[schema(format = DateTime)]
    occurred_at: String,
    #[schema(format = DateTime)]
    recorded_at: String,
    #[schema(required)]
    session: Option<String>,
    #[schema(required)]
    job: Option<String>,
    #[schema(required)]
    name: Option<String>,
    #[schema(required)]
    wake: Option<String>,
    actor: Actor,
    /// How the job ended, in `job.finished` and `job.corrected`.
    outcome: Option<Outcome>,
    /// The state before, in `follow_up.*`.
    #[schema(nullable = false)]
    from: Option<String>,
    /// In `wake.*`.
    sink: Option<String>,
    /// In `wake.*`.
    attempt: Option<u32>,
    /// In `wake.*`.
    error: Option<String>,
    /// In `wake.*`.
    #[schema(nullable = false)]
    jobs: Option<Vec<String>>,
    /// Whether the monitor ended by itself, in `monitor.ended`.
    #[schema(nullable = false)]
    clean: Option<bool>,
    /// The current document of the job, if the request asks for it; `null` if the job was deleted.
    document: Option<JobDocument>,
}

/// Who caused an event.
#[derive(ToSchema)]
struct Actor {
    /// `process`, `token`, `monitor`, `supervisor`, `session`, `operator`, `outside` or `service_manager`
    kind: String,
    #[schema(required)]
    uid: Option<u32>,
    #[schema(required)]
    pid: Option<u32>,
    #[schema(required)]
    session: Option<String>,
    #[schema(required)]
    token: Option<String>,
    #[schema(required)]
    program: Option<String>,
}

/// What all processes of a running job use at one moment.
#[derive(ToSchema)]
#[schema(as = Usage)]
pub(super) struct UsageDocument {
    #[schema(format = DateTime)]
    sampled_at: String,
    /// Processor time since the job started, in milliseconds.
    cpu_ms: u64,
    /// Memory in RAM, in bytes. Memory that processes share counts in each of them.
    memory_bytes: u64,
    processes: u32,
}

/// The server, and what the token may do.
#[derive(ToSchema)]
#[schema(as = Server)]
pub(super) struct ServerDocument {
    /// `homing.server/1`
    schema: String,
    version: String,
    home: String,
    /// `admin`, `read` or `session:NAME`
    scope: String,
    #[schema(required)]
    session: Option<String>,
    /// The name of the token.
    token: String,
    #[schema(format = DateTime)]
    started_at: String,
    /// The newest place in the log of events.
    cursor: String,
    monitor: Monitor,
    sinks: Vec<String>,
    #[schema(required)]
    default_timeout_ms: Option<u64>,
    #[schema(required)]
    max_timeout_ms: Option<u64>,
}

/// Whether a monitor delivers results.
#[derive(ToSchema)]
struct Monitor {
    active: bool,
    #[schema(required)]
    pid: Option<u32>,
}

/// The result of one check of `homing doctor`.
#[derive(ToSchema)]
#[schema(as = DoctorCheck)]
pub(super) struct CheckDocument {
    name: String,
    /// `ok`, `note` or `problem`
    verdict: String,
    detail: String,
    #[schema(required)]
    hint: Option<String>,
}

/// The steps of a test wake.
#[derive(ToSchema)]
#[schema(as = Checks)]
pub(super) struct ChecksDocument {
    checks: Vec<Step>,
}

/// A step of a test wake.
#[derive(ToSchema)]
struct Step {
    name: String,
    /// `ok`, `warning` or `failed`
    status: String,
    detail: String,
}

/// The agent harnesses that homing knows.
#[derive(ToSchema)]
#[schema(as = Agents)]
pub(super) struct AgentsDocument {
    agents: Vec<Agent>,
}

/// An agent harness.
#[derive(ToSchema)]
struct Agent {
    name: String,
    title: String,
    /// Whether its program or its configuration was found.
    found: bool,
    /// `complete`, `partial`, `none` or `not_supported`
    setup: String,
    detail: String,
    /// The command that completes the setup; `null` if nothing is to be done.
    #[schema(required)]
    command: Option<String>,
    /// The newest wake of its preset.
    #[schema(required)]
    last_wake: Option<LastWake>,
}

/// The newest wake of the preset of a harness.
#[derive(ToSchema)]
struct LastWake {
    wake: String,
    session: String,
    state: String,
    #[schema(format = DateTime)]
    at: String,
    #[schema(required)]
    error: Option<String>,
}

/// A token for a browser.
#[derive(ToSchema)]
#[schema(as = BrowserToken)]
pub(super) struct ExchangeDocument {
    token: String,
    #[schema(required, format = DateTime)]
    expires_at: Option<String>,
}
