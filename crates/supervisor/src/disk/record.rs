//! `record`: the state of a job. A file with two slots. Its blocks are allocated before the job starts, so writing an
//! outcome needs no free disk space. Torn slots are ignored. Slots of newer versions are not overwritten.

use std::fs::File;
use std::io;
use std::time::Duration;

use serde::Serialize;

use crate::disk::directory::Directory;
use crate::disk::documents::{FinishedRecord, StartedRecord};
use crate::disk::error::DiskError;
use crate::disk::slots::{FINISHED, RECORD_BYTES, STARTED, Slot, SlotPlace, decode_slot, encode};
use crate::failpoints::crash_point;
use crate::names::RECORD;
use crate::platform::file;

/// How often a torn slot is read again, because its writer may be writing.
const TORN_READS: u32 = 5;

/// Pause between two such reads.
const TORN_PAUSE: Duration = Duration::from_millis(1);

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
    file: File,
}

impl Record {
    /// Creates the record of a new job and reserves all its blocks.
    ///
    /// # Errors
    /// If the disk is full or the write fails.
    pub fn create(directory: &Directory) -> Result<Record, DiskError> {
        let file = directory.create(RECORD)?;
        // Write zeros instead of fallocate(2), so that writing the outcome does not change metadata.
        file::write_at(&file, &[0; RECORD_BYTES], 0).map_err(|e| directory.error("reserve", RECORD, e))?;
        Ok(Record { file })
    }

    /// Starts the allocation of its blocks on disk without waiting, so that the next sync of another file includes it, and
    /// writing the outcome changes no metadata. This is a hint: the space is reserved already.
    pub fn start_allocation(&self) {
        file::start_writing(&self.file);
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
    pub(crate) fn from_file(file: File) -> Record {
        Record { file }
    }

    /// Reads both slots. Reads torn slots again a few times, because their writer may be writing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(&self) -> io::Result<RecordContent> {
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

    fn read_once(&self) -> io::Result<RecordContent> {
        let mut bytes = [0; RECORD_BYTES];
        let filled = file::read_at(&self.file, &mut bytes, 0)?;
        Ok(decode(&bytes[..filled]))
    }

    /// Writes the started slot without fsync: it survives this process, and a power failure would end the job anyway.
    ///
    /// # Errors
    /// If the write fails.
    pub fn write_started(&self, started: &StartedRecord) -> io::Result<()> {
        self.write_slot(&STARTED, started)
    }

    /// Writes the finished slot and makes it durable.
    ///
    /// # Errors
    /// If the write fails.
    pub fn write_finished(&self, finished: &FinishedRecord) -> io::Result<()> {
        self.write_finished_unsynced(finished)?;
        crash_point("supervise/finish_written");
        file::sync_content(&self.file)
    }

    /// Writes the finished slot without fsync: a power failure may lose it.
    ///
    /// # Errors
    /// If the write fails.
    pub fn write_finished_unsynced(&self, finished: &FinishedRecord) -> io::Result<()> {
        self.write_slot(&FINISHED, &finished.bounded())
    }

    fn write_slot(&self, slot: &SlotPlace, content: &impl Serialize) -> io::Result<()> {
        let too_long = || io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than its slot");
        let bytes = encode(slot, content).ok_or_else(too_long)?;
        file::write_at(&self.file, &bytes, slot.offset as u64)
    }
}

fn decode(bytes: &[u8]) -> RecordContent {
    RecordContent { started: decode_slot(&STARTED, bytes), finished: decode_slot(&FINISHED, bytes) }
}

#[cfg(test)]
mod tests {
    use homing_core::{Leftover, LeftoverFate, LostReason, Outcome, Signal, StartError};
    use proptest::prelude::*;

    use super::*;
    use crate::disk::documents::{EndedRecord, MAX_LEFTOVERS};
    use crate::disk::run_by::RunBy;
    use crate::disk::slots::{FORMAT_VERSION, SLOT_HEADER, checksum};
    use crate::platform::{PidNamespace, ProcessIdentity};

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
            error_pipe: Some(u64::MAX),
            group: Some(format!("/sys/fs/cgroup/{}", "x".repeat(385))),
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
