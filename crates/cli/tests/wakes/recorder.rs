//! A command sink that keeps whatever it is given, and then answers as a script says: well, badly, late or not at all.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use homing::{JobId, SessionId};
use serde_json::Value;
use testkit::{TempHome, wait_until};

/// What the program of the sink does. It keeps its input first, under a name that says what it is about to answer; a
/// lock that lives as long as any of its processes shows whether two are ever at work for one session.
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
mv "part/$name" "told/$name"
case $answer in
deliver) exit 0 ;;
late) sleep 0.05; exit 0 ;;
busy) echo 'a turn is live' >&2; exit 75 ;;
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

/// What it was given once.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) session: String,
    pub(crate) wake: String,
    /// Nanoseconds of the wall clock, at which it began.
    pub(crate) at: u64,
    pub(crate) answer: String,
    pub(crate) attempt: u64,
    /// The wake's document without `attempt`, which alone may differ between two attempts.
    pub(crate) document: Value,
    pub(crate) jobs: Vec<JobId>,
}

impl Recorder {
    pub(crate) fn new(home: &TempHome) -> Recorder {
        let folder = home.scratch().join("recorder");
        for name in ["told", "part", "lock", "count", "answers", "passed"] {
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

    /// Sets what it answers a session, one word for each time. Afterwards it delivers.
    pub(crate) fn answers(&self, session: &str, answers: &[&str]) {
        fs::write(self.folder.join("answers").join(session), answers.join(" ")).expect("a script");
    }

    /// From now on it delivers everything.
    pub(crate) fn calm_down(&self) {
        fs::write(self.folder.join("calm"), "").expect("a file");
    }

    /// Lets those through that wait at the gate.
    pub(crate) fn open_the_gate(&self) {
        fs::write(self.folder.join("gate"), "").expect("a file");
    }

    /// How many have gone through the gate.
    pub(crate) fn passed(&self) -> usize {
        fs::read_dir(self.folder.join("passed")).expect("a folder").count()
    }

    /// Cheaper than reading all of it.
    pub(crate) fn count(&self) -> usize {
        fs::read_dir(self.folder.join("told")).expect("a folder").count()
    }

    /// Waits until it was given something so many times.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Told> {
        wait_until(&format!("the sink was told {count} times"), || self.count() >= count);
        self.told()
    }

    /// Everything so far, in its order. Each of these documents is whole, and each goes to its own session: a wake for
    /// somebody else fails the test right here.
    pub(crate) fn told(&self) -> Vec<Told> {
        let entries = fs::read_dir(self.folder.join("told")).expect("a folder");
        let mut told: Vec<Told> = entries.map(|entry| read(&entry.expect("an entry").path())).collect();
        told.sort_by_key(|told| told.at);
        told
    }

    /// Fails when two programs were ever at work for one session at the same time.
    #[track_caller]
    pub(crate) fn assert_no_overlap(&self) {
        let overlaps = fs::read_to_string(self.folder.join("overlaps")).unwrap_or_default();
        let first = overlaps.lines().next();
        assert_eq!(first, None, "{} times two programs at work for one session", overlaps.lines().count());
    }

    /// Whether a program is at work for the session now.
    pub(crate) fn is_at_work(&self, session: &SessionId) -> bool {
        let lock = fs::File::open(self.folder.join("lock").join(session.as_str())).expect("a lock");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockShared).is_err()
    }
}

fn read(path: &std::path::Path) -> Told {
    let name = path.file_name().expect("a name").to_str().expect("plain letters");
    let parts: Vec<&str> = name.split('.').collect();
    let [session, wake, at, _, answer] = parts[..] else { panic!("a stray file: {name}") };
    let text = fs::read_to_string(path).expect("what was told");
    let mut document: Value = serde_json::from_str(&text).expect("a whole document");
    let attempt = document.as_object_mut().and_then(|fields| fields.remove("attempt"));
    assert_eq!((&document["session"], &document["id"]), (&session.into(), &wake.into()), "{name}");
    let jobs = document["jobs"].as_array().expect("jobs").iter().map(|job| {
        assert_eq!(job["session"], session, "a job of another session: {document:#}");
        job["id"].as_str().and_then(|id| id.parse().ok()).expect("an id")
    });
    Told {
        jobs: jobs.collect(),
        session: session.to_owned(),
        wake: wake.to_owned(),
        at: at.parse().expect("nanoseconds"),
        answer: answer.to_owned(),
        attempt: attempt.and_then(|attempt| attempt.as_u64()).expect("an attempt"),
        document,
    }
}
