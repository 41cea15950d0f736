//! Reads a record while it is written: the reader sees the old or the new content, and never misreads a torn slot as
//! empty.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use homing_core::{Leftover, LeftoverFate, Outcome};
use homing_supervisor::layout::Directory;
use homing_supervisor::{FinishedRecord, Record};

/// How often the record is written: enough for torn reads on a machine with two processors.
const WRITES: usize = 300_000;

/// A record whose size grows with the number of leftovers.
fn finished(exit_code: i64, leftovers: u32) -> FinishedRecord {
    let leftover = |pid| Leftover { pid, name: format!("left-{pid}"), fate: LeftoverFate::Ended };
    FinishedRecord {
        leftovers: (0..leftovers).map(leftover).collect(),
        ..FinishedRecord::bare(Outcome::Exited { exit_code }, 1_795_345_201_123)
    }
}

#[test]
fn reader_that_races_the_writer_sees_old_or_new_content() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = Directory::open(folder.path()).expect("it opens");
    let contents = [finished(1, 0), finished(2, 20)];
    let record = Record::create(&directory).expect("a record");
    // The file image for each content: whole images are written faster, so reads are torn more often.
    let images = contents.each_ref().map(|content| {
        record.write_finished_unsynced(content).expect("it can be written");
        std::fs::read(folder.path().join("record")).expect("it can be read")
    });
    let file = std::fs::OpenOptions::new().write(true).open(folder.path().join("record")).expect("it opens");
    let (is_finished, reads) = (AtomicBool::new(false), AtomicU32::new(0));

    let wrong = std::thread::scope(|scope| {
        let read = || {
            let record = Record::open_to_read(&directory).expect("it opens").expect("it is there");
            let mut wrong = Vec::new();
            while !is_finished.load(Ordering::Relaxed) {
                let read = record.read().expect("it can be read").finished.into_valid();
                reads.fetch_add(1, Ordering::Relaxed);
                if !read.as_ref().is_some_and(|read| contents.contains(read)) {
                    wrong.push(read);
                }
            }
            wrong
        };
        let readers = [scope.spawn(read), scope.spawn(read)];
        for number in 0..WRITES {
            file.write_all_at(&images[number % 2], 0).expect("it can be written");
        }
        is_finished.store(true, Ordering::Relaxed);
        readers.map(|reader| reader.join().expect("it ends")).concat()
    });
    assert_eq!((wrong.len(), wrong.first()), (0, None), "of {reads:?} reads");
}
