//! A command sink that records its wakes, and then follows a script: it succeeds, fails, answers late, or hangs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use homing::{JobId, SessionId};
use serde_json::Value;
use testkit::{TempHome, wait_until};

/// The program of the sink. It first records its input, in a file whose name contains its answer. A lock that all its
/// processes hold shows whether two programs ever run for one session.
const PROGRAM: &str = r#"#!/bin/sh
cd 'FOLDER' || exit 1
session=$HOMING_SESSION
exec 9> "lock/$session"
flock -n 9 || echo "$session $HOMING_WAKE" >> overlaps
answer=deliver
if ! [ -e calm ] && [ -e "answers/$session" ]; then
    count=0
    [ -e "count/$session" ] && read -r count < "count/$session"
    echo $((count + 1)) > "count/$session"
    set -- $(cat "answers/$session")
    [ "$count" -lt $# ] && shift "$count" && answer=$1
fi
name=$session.$HOMING_WAKE.$(date +%s%N).$$.$answer
cat > "part/$name"
mv "part/$name" "received/$name"
case $answer in
deliver) exit 0 ;;
late) sleep 0.05; exit 0 ;;
busy) echo 'a turn is running' >&2; exit 75 ;;
gone) echo 'no such chat' >&2; exit 69 ;;
lost) exit 1 ;;
hang) sleep MARK ;;
crash) kill -9 $$ ;;
flood) head -c 30000000 /dev/zero; head -c 30000000 /dev/zero >&2; exit 3 ;;
gate) until [ -e gate ]; do sleep 0.01; done; touch "passed/$$"; exit 0 ;;
esac
exit 4
"#;

/// The recording sink of one test.
pub(crate) struct Recorder {
    folder: PathBuf,
}

/// One recorded attempt.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) session: String,
    pub(crate) wake: String,
    /// Its start on the wall clock, in nanoseconds.
    pub(crate) at: u64,
    pub(crate) answer: String,
    pub(crate) attempt: u64,
    /// The wake's document without `attempt`, the only field that may differ between attempts.
    pub(crate) document: Value,
    pub(crate) jobs: Vec<JobId>,
}

impl Recorder {
    pub(crate) fn new(home: &TempHome) -> Recorder {
        let folder = home.scratch().join("recorder");
        for name in ["received", "part", "lock", "count", "answers", "passed"] {
            fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        let recorder = Recorder { folder };
        let path = recorder.folder.display().to_string();
        let program = PROGRAM.replace("FOLDER", &path).replace("MARK", home.mark());
        fs::write(recorder.program(), program).expect("a program");
        fs::set_permissions(recorder.program(), fs::Permissions::from_mode(0o755)).expect("its mode");
        recorder
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.folder.join("sink.sh")
    }

    /// Sets the answers for a session, one word for each attempt. Afterwards it answers `deliver`.
    pub(crate) fn answers(&self, session: &str, answers: &[&str]) {
        fs::write(self.folder.join("answers").join(session), answers.join(" ")).expect("a script");
    }

    /// From now on it answers `deliver` to everything.
    pub(crate) fn calm_down(&self) {
        fs::write(self.folder.join("calm"), "").expect("a file");
    }

    /// Releases attempts that wait at the gate.
    pub(crate) fn open_the_gate(&self) {
        fs::write(self.folder.join("gate"), "").expect("a file");
    }

    /// The number of attempts that passed the gate.
    pub(crate) fn passed(&self) -> usize {
        fs::read_dir(self.folder.join("passed")).expect("a folder").count()
    }

    /// The number of recorded attempts, without reading them.
    pub(crate) fn count(&self) -> usize {
        fs::read_dir(self.folder.join("received")).expect("a folder").count()
    }

    /// Waits for that many attempts, and returns them.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Recorded> {
        wait_until(&format!("the sink received {count} wakes"), || self.count() >= count);
        self.recorded()
    }

    /// All attempts so far, in order. Fails if a document is incomplete or belongs to another session.
    pub(crate) fn recorded(&self) -> Vec<Recorded> {
        let entries = fs::read_dir(self.folder.join("received")).expect("a folder");
        let mut recorded: Vec<Recorded> =
            entries.map(|entry| read(&entry.expect("an entry").path())).collect();
        recorded.sort_by_key(|recorded| recorded.at);
        recorded
    }

    /// Fails if two programs ever ran for one session at the same time.
    #[track_caller]
    pub(crate) fn assert_no_overlap(&self) {
        let overlaps = fs::read_to_string(self.folder.join("overlaps")).unwrap_or_default();
        let first = overlaps.lines().next();
        assert_eq!(first, None, "{} times two programs ran for one session", overlaps.lines().count());
    }

    /// Whether a program runs for the session now.
    pub(crate) fn is_running(&self, session: &SessionId) -> bool {
        let lock = fs::File::open(self.folder.join("lock").join(session.as_str())).expect("a lock");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
    }
}

fn read(path: &std::path::Path) -> Recorded {
    let name = path.file_name().expect("a name").to_str().expect("plain letters");
    let parts: Vec<&str> = name.split('.').collect();
    let [session, wake, at, _, answer] = parts[..] else { panic!("a stray file: {name}") };
    let text = fs::read_to_string(path).expect("a recorded wake");
    let mut document: Value = serde_json::from_str(&text).expect("a whole document");
    let attempt = document.as_object_mut().and_then(|fields| fields.remove("attempt"));
    assert_eq!((&document["session"], &document["id"]), (&session.into(), &wake.into()), "{name}");
    let jobs = document["jobs"].as_array().expect("jobs").iter().map(|job| {
        assert_eq!(job["session"], session, "a job of another session: {document:#}");
        job["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
    });
    Recorded {
        jobs: jobs.collect(),
        session: session.to_owned(),
        wake: wake.to_owned(),
        at: at.parse().expect("nanoseconds"),
        answer: answer.to_owned(),
        attempt: attempt.and_then(|attempt| attempt.as_u64()).expect("an attempt"),
        document,
    }
}
