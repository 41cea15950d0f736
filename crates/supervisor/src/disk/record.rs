//! `record`: the state of a job. A file with two slots of fixed offset and size, each with a format version, a length
//! and a checksum. Its blocks are allocated before the job starts, so writing an outcome needs no free disk space.
//! Torn slots are ignored. Slots of newer versions are recognised and not overwritten.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use homing_core::{Leftover, Outcome, Recovery, StartError};
use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::disk::error::DiskError;
use crate::disk::layout::{Directory, RECORD};
use crate::platform::{ProcessIdentity, RunBy};

/// Size of the file: one block.
pub const RECORD_BYTES: usize = 4096;

/// Format version of both slots. Readers do not interpret higher versions.
const FORMAT_VERSION: u32 = 2;

/// Magic, offset and size of a slot. These and the header layout are the same in every version.
struct SlotPlace {
    magic: [u8; 4],
    offset: usize,
    size: usize,
}

const STARTED: SlotPlace = SlotPlace { magic: *b"HMST", offset: 0, size: 1536 };
const FINISHED: SlotPlace = SlotPlace { magic: *b"HMFI", offset: 1536, size: RECORD_BYTES - 1536 };

/// Magic, format version, length, checksum: four bytes each, little-endian.
const SLOT_HEADER: usize = 16;

/// How often a torn slot is read again, because its writer may be writing.
const TORN_READS: u32 = 5;

/// Pause between two such reads.
const TORN_PAUSE: Duration = Duration::from_millis(1);

/// Maximum length of a stored error, in bytes.
const MAX_ERROR_BYTES: usize = 400;

/// Maximum number of leftovers in a record.
const MAX_LEFTOVERS: usize = 24;

/// The started slot. It is written before the command may run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartedRecord {
    /// The job's main process.
    pub main: ProcessIdentity,
    /// The supervisor.
    pub supervisor: ProcessIdentity,
    /// The machine, boot, pid namespace and user of both processes, as seen by the supervisor.
    pub run_by: RunBy,
    /// When the main process was created: wall clock, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Inode of the output pipe. A process that has it open belongs to the job.
    pub output_pipe: u64,
    /// The control group of the process tree, if there is one.
    pub cgroup: Option<String>,
    /// The outcome, decided before the tree is ended: `timed_out` or `killed`. It is the outcome even if the
    /// supervisor dies while it ends the tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Outcome>,
    /// The systemd service whose end also ends this job, if the job could not get its own scope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The end of the main process, set while the rest of the tree is still being ended.
    pub ended: Option<EndedRecord>,
}

/// The end of the main process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedRecord {
    /// How the job ended.
    pub outcome: Outcome,
    /// When it ended: wall clock, milliseconds since the epoch.
    pub ended_at_ms: i64,
    /// Milliseconds from start to end on a monotonic clock; `None` if one of the two was not observed.
    pub duration_ms: Option<u64>,
}

/// The finished slot. It is written when the job has finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedRecord {
    /// How and when its main process ended.
    #[serde(flatten)]
    pub end: EndedRecord,
    /// Processor time in milliseconds.
    pub cpu_ms: Option<u64>,
    /// Largest resident memory of one process in bytes.
    pub peak_memory_bytes: Option<u64>,
    /// Processes that outlived the main process, as many as fit.
    pub leftovers: Vec<Leftover>,
    /// Number of further leftovers.
    pub leftovers_omitted: u32,
    /// Bytes the job has written.
    pub output_total_bytes: u64,
    /// Bytes that could not be stored.
    pub output_dropped_bytes: u64,
    /// What recovery must still do if the supervisor died. Never [`Recovery::NotRecorded`] on disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

impl FinishedRecord {
    /// Creates a record with an outcome and an end time only.
    pub fn bare(outcome: Outcome, ended_at_ms: i64) -> FinishedRecord {
        FinishedRecord {
            end: EndedRecord { outcome, ended_at_ms, duration_ms: None },
            cpu_ms: None,
            peak_memory_bytes: None,
            leftovers: Vec::new(),
            leftovers_omitted: 0,
            output_total_bytes: 0,
            output_dropped_bytes: 0,
            recovery: None,
        }
    }

    /// Returns how long the main process ran.
    pub fn duration(&self) -> Option<Duration> {
        self.end.duration_ms.map(Duration::from_millis)
    }

    /// Returns the record, shortened to fit its slot. Counts the leftovers that were removed.
    fn bounded(&self) -> FinishedRecord {
        let mut bounded = self.clone();
        if let Outcome::FailedToStart { error } = &mut bounded.end.outcome {
            *error = StartError { message: shortened(&error.message), errno: error.errno };
        }
        let fits = |record: &FinishedRecord| encode(&FINISHED, record).is_some();
        bounded.leftovers.truncate(MAX_LEFTOVERS);
        while !fits(&bounded) && bounded.leftovers.pop().is_some() {}
        let omitted = self.leftovers.len() - bounded.leftovers.len();
        bounded.leftovers_omitted += u32::try_from(omitted).unwrap_or(u32::MAX);
        bounded
    }
}

fn shortened(message: &str) -> String {
    if message.len() <= MAX_ERROR_BYTES {
        return message.to_owned();
    }
    let mut end = MAX_ERROR_BYTES;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &message[..end])
}

/// The content of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Slot<T> {
    /// The slot has not been written.
    #[default]
    Empty,
    /// The checksum does not match: a write was interrupted, or the data is damaged. The content is unknown.
    Torn,
    /// The slot is intact, but was written by a newer version of homing. It must not be overwritten.
    Unsupported,
    /// The slot is intact.
    Valid(T),
}

impl<T> Slot<T> {
    /// Returns the content of a valid slot.
    pub fn valid(&self) -> Option<&T> {
        match self {
            Slot::Valid(content) => Some(content),
            Slot::Empty | Slot::Torn | Slot::Unsupported => None,
        }
    }

    /// Returns the content of a valid slot by value.
    pub fn into_valid(self) -> Option<T> {
        match self {
            Slot::Valid(content) => Some(content),
            Slot::Empty | Slot::Torn | Slot::Unsupported => None,
        }
    }

    /// Whether a newer version of homing wrote it.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Slot::Unsupported => true,
            Slot::Empty | Slot::Torn | Slot::Valid(_) => false,
        }
    }

    fn is_torn(&self) -> bool {
        match self {
            Slot::Torn => true,
            Slot::Empty | Slot::Unsupported | Slot::Valid(_) => false,
        }
    }
}

/// The content of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordContent {
    /// The started slot.
    pub started: Slot<StartedRecord>,
    /// The finished slot.
    pub finished: Slot<FinishedRecord>,
}

impl RecordContent {
    /// Whether a newer version of homing wrote one of its slots.
    pub fn is_unsupported(&self) -> bool {
        self.started.is_unsupported() || self.finished.is_unsupported()
    }
}

/// An open record.
#[derive(Debug)]
pub struct Record {
    file: OwnedFd,
}

impl Record {
    /// Creates the record of a new job and allocates all its blocks.
    ///
    /// # Errors
    /// If the disk is full or the write fails.
    pub fn create(directory: &Directory) -> Result<Record, DiskError> {
        let file = directory.create(RECORD)?;
        // Write zeros instead of fallocate(2), so that writing the outcome does not change metadata.
        rustix::io::pwrite(&file, &[0; RECORD_BYTES], 0)
            .and_then(|count| if count == RECORD_BYTES { Ok(()) } else { Err(Errno::NOSPC) })
            .map_err(|e| directory.error("reserve", RECORD, e))?;
        // Start allocation on disk while the rest of the job is prepared.
        crate::platform::start_writing(&file);
        Ok(Record { file })
    }

    /// Opens the record of a job for writing; `None` if it is missing. Only the holder of the job's lock opens it for
    /// writing; closing it notifies watchers that the job has finished or lost its supervisor.
    ///
    /// # Errors
    /// If it is not a regular file or cannot be opened.
    pub fn open_to_update(directory: &Directory) -> Result<Option<Record>, DiskError> {
        Ok(directory.open_to_update(RECORD)?.map(|file| Record { file }))
    }

    /// Opens the record of a job for reading; `None` if it is missing.
    ///
    /// # Errors
    /// If it is not a regular file or cannot be opened.
    pub fn open_to_read(directory: &Directory) -> Result<Option<Record>, DiskError> {
        Ok(directory.open_to_read(RECORD)?.map(|file| Record { file }))
    }

    /// Creates a record from an open file.
    pub(crate) fn from_file(file: OwnedFd) -> Record {
        Record { file }
    }

    /// Reads both slots. Reads torn slots again a few times, because their writer may be writing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self) -> Result<RecordContent, Errno> {
        let mut content = self.read_once()?;
        for _ in 0..TORN_READS {
            if !content.started.is_torn() && !content.finished.is_torn() {
                break;
            }
            std::thread::sleep(TORN_PAUSE);
            content = self.read_once()?;
        }
        Ok(content)
    }

    fn read_once(&self) -> Result<RecordContent, Errno> {
        let mut bytes = [0; RECORD_BYTES];
        let mut filled = 0;
        while filled < RECORD_BYTES {
            match rustix::io::pread(&self.file, &mut bytes[filled..], filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(decode(&bytes[..filled]))
    }

    /// Writes the started slot without fsync: it survives this process, and a power failure would end the job anyway.
    ///
    /// # Errors
    /// If the write fails.
    pub fn write_started(&self, started: &StartedRecord) -> Result<(), Errno> {
        self.write_slot(&STARTED, started)
    }

    /// Writes the finished slot and makes it durable.
    ///
    /// # Errors
    /// If the write fails.
    pub fn write_finished(&self, finished: &FinishedRecord) -> Result<(), Errno> {
        self.write_finished_unsynced(finished)?;
        crate::failpoints::crash_point("supervise/finish_written");
        rustix::fs::fdatasync(&self.file)
    }

    /// Writes the finished slot without fsync: a power failure may lose it.
    ///
    /// # Errors
    /// If the write fails.
    pub fn write_finished_unsynced(&self, finished: &FinishedRecord) -> Result<(), Errno> {
        self.write_slot(&FINISHED, &finished.bounded())
    }

    fn write_slot(&self, slot: &SlotPlace, content: &impl Serialize) -> Result<(), Errno> {
        let bytes = encode(slot, content).ok_or(Errno::OVERFLOW)?;
        let count = rustix::io::pwrite(&self.file, &bytes, slot.offset as u64)?;
        if count == bytes.len() { Ok(()) } else { Err(Errno::IO) }
    }
}

impl AsFd for Record {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn encode(slot: &SlotPlace, content: &impl Serialize) -> Option<Vec<u8>> {
    let payload = serde_json::to_vec(content).ok()?;
    if SLOT_HEADER + payload.len() > slot.size {
        return None;
    }
    let version = format_version().to_le_bytes();
    let length = u32::try_from(payload.len()).ok()?.to_le_bytes();
    let mut bytes = Vec::with_capacity(SLOT_HEADER + payload.len());
    bytes.extend_from_slice(&slot.magic);
    bytes.extend_from_slice(&version);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&checksum(&[&slot.magic, &version, &length, &payload]).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Some(bytes)
}

fn decode(bytes: &[u8]) -> RecordContent {
    RecordContent { started: decode_slot(&STARTED, bytes), finished: decode_slot(&FINISHED, bytes) }
}

fn decode_slot<T: DeserializeOwned>(slot: &SlotPlace, bytes: &[u8]) -> Slot<T> {
    let bytes = bytes.get(slot.offset..).unwrap_or_default();
    let bytes = &bytes[..bytes.len().min(slot.size)];
    if bytes.iter().take(SLOT_HEADER).all(|&byte| byte == 0) {
        return Slot::Empty;
    }
    let Some((version, payload)) = intact_payload(slot, bytes) else { return Slot::Torn };
    if version > format_version() {
        return Slot::Unsupported;
    }
    // Intact but not readable: for example an unknown kind of outcome.
    serde_json::from_slice(payload).map_or(Slot::Unsupported, Slot::Valid)
}

/// Returns the version and the payload of a slot with a valid checksum.
fn intact_payload<'a>(slot: &SlotPlace, bytes: &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (header, rest) = bytes.split_at_checked(SLOT_HEADER)?;
    let word = |index: usize| -> Option<[u8; 4]> { header[4 * index..4 * index + 4].try_into().ok() };
    let (magic, version, length, sum) = (word(0)?, word(1)?, word(2)?, word(3)?);
    let payload = rest.get(..usize::try_from(u32::from_le_bytes(length)).ok()?)?;
    let is_intact =
        magic == slot.magic && checksum(&[&magic, &version, &length, payload]) == u32::from_le_bytes(sum);
    is_intact.then_some((u32::from_le_bytes(version), payload))
}

/// The version that this program writes and reads. Fault tests inject another one to simulate a newer program.
fn format_version() -> u32 {
    fail::fail_point!("record_format", |version| {
        version.and_then(|text| text.parse().ok()).unwrap_or(FORMAT_VERSION)
    });
    FORMAT_VERSION
}

fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use homing_core::{LeftoverFate, LostReason, Signal};
    use proptest::prelude::*;

    use super::*;
    use crate::platform::PidNamespace;

    fn started() -> StartedRecord {
        StartedRecord {
            main: ProcessIdentity { pid: 4242, start_ticks: u64::MAX },
            supervisor: ProcessIdentity { pid: 4_194_304, start_ticks: 123_456_789 },
            run_by: RunBy {
                machine_id: Some("0".repeat(64)),
                host_name: "h".repeat(64),
                boot_id: "3f1c9b52-0000-4000-8000-0123456789ab".to_owned(),
                pid_namespace: Some(PidNamespace { inode: u64::MAX, init_start_ticks: Some(u64::MAX) }),
                uid: u32::MAX,
            },
            started_at_ms: 1_795_345_200_123,
            output_pipe: u64::MAX,
            cgroup: Some(format!("/sys/fs/cgroup/{}", "x".repeat(385))),
            decided: Some(Outcome::TimedOut),
            service: Some("s".repeat(64)),
            ended: Some(EndedRecord {
                outcome: Outcome::Signaled { signal: Signal::from_number(11) },
                ended_at_ms: 1_795_345_201_123,
                duration_ms: Some(1_000),
            }),
        }
    }

    fn finished(outcome: Outcome) -> FinishedRecord {
        FinishedRecord::bare(outcome, 1_795_345_201_123)
    }

    fn image(started: &StartedRecord, finished: &FinishedRecord) -> Vec<u8> {
        let mut bytes = vec![0; RECORD_BYTES];
        for (slot, encoded) in
            [(&STARTED, encode(&STARTED, started)), (&FINISHED, encode(&FINISHED, &finished.bounded()))]
        {
            let encoded = encoded.expect("fits its slot");
            bytes[slot.offset..slot.offset + encoded.len()].copy_from_slice(&encoded);
        }
        bytes
    }

    #[test]
    fn both_slots_round_trip() {
        let finished = finished(Outcome::Exited { exit_code: 3 });
        let content = decode(&image(&started(), &finished));
        let expected = RecordContent { started: Slot::Valid(started()), finished: Slot::Valid(finished) };
        assert_eq!(content, expected);
    }

    #[test]
    fn largest_content_fits_and_counts_what_was_cut() {
        let message = "\"\\\u{1}".repeat(4_000);
        let mut large = finished(Outcome::FailedToStart { error: StartError { message, errno: Some(2) } });
        let leftover = Leftover { pid: u32::MAX, name: "\u{1}".repeat(3), fate: LeftoverFate::Survived };
        large.leftovers = vec![leftover; 100];
        let read = decode(&image(&started(), &large)).finished.into_valid().expect("an intact slot");
        assert_eq!(read.leftovers.len() + read.leftovers_omitted as usize, 100);
        large.end.outcome = Outcome::TimedOut;
        let read = decode(&image(&started(), &large)).finished.into_valid().expect("an intact slot");
        assert_eq!((read.leftovers.len(), read.leftovers_omitted), (MAX_LEFTOVERS, 76));
    }

    #[test]
    fn every_damaged_byte_is_detected() {
        let truth = finished(Outcome::Exited { exit_code: 0 });
        let good = image(&started(), &truth);
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0x5a;
            let read = decode(&bad);
            assert!([Slot::Torn, Slot::Valid(started())].contains(&read.started), "byte {index}");
            assert!([Slot::Torn, Slot::Valid(truth.clone())].contains(&read.finished), "byte {index}");
        }
    }

    #[test]
    fn truncated_record_is_never_misread() {
        let truth = finished(Outcome::Lost { reason: LostReason::Reboot });
        let good = image(&started(), &truth);
        for length in 0..good.len() {
            let read = decode(&good[..length]);
            let started_slots = [Slot::Empty, Slot::Torn, Slot::Valid(started())];
            assert!(started_slots.contains(&read.started), "cut at {length}");
            let finished_slots = [Slot::Empty, Slot::Torn, Slot::Valid(truth.clone())];
            assert!(finished_slots.contains(&read.finished), "cut at {length}");
        }
    }

    #[test]
    fn slot_of_a_newer_version_is_unsupported_and_not_torn() {
        let mut newer = encode(&FINISHED, &finished(Outcome::TimedOut)).unwrap();
        newer[4..8].copy_from_slice(&(FORMAT_VERSION + 1).to_le_bytes());
        let sum = checksum(&[&newer[..4], &newer[4..8], &newer[8..12], &newer[SLOT_HEADER..]]);
        newer[12..16].copy_from_slice(&sum.to_le_bytes());
        let mut bytes = vec![0; RECORD_BYTES];
        bytes[FINISHED.offset..FINISHED.offset + newer.len()].copy_from_slice(&newer);
        let expected = RecordContent { started: Slot::Empty, finished: Slot::Unsupported };
        assert_eq!(decode(&bytes), expected);
        // An unknown kind of outcome.
        let unknown = encode(&FINISHED, &serde_json::json!({ "outcome": { "kind": "paused" } })).unwrap();
        bytes[FINISHED.offset..FINISHED.offset + unknown.len()].copy_from_slice(&unknown);
        assert_eq!(decode(&bytes).finished, Slot::Unsupported);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..RECORD_BYTES)) {
            let read = decode(&bytes);
            prop_assert!(matches!(read.started, Slot::Empty | Slot::Torn));
            prop_assert!(matches!(read.finished, Slot::Empty | Slot::Torn));
        }
    }
}
