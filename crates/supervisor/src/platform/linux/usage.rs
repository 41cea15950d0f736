//! What a process uses, as `/proc` shows it.

use std::time::Duration;

use super::{clock, procfs};
use crate::platform::ProcessUsage;

/// Returns what a process uses (proc_pid_stat(5)); `None` if it does not exist.
pub fn of_process(pid: u32) -> Option<ProcessUsage> {
    let mut buffer = [0; 1024];
    let bytes = procfs::read_short(&format!("/proc/{pid}/stat"), &mut buffer).ok()?;
    parse(&String::from_utf8_lossy(bytes))
}

fn parse(text: &str) -> Option<ProcessUsage> {
    let (_, fields) = procfs::name_and_fields(text)?;
    let mut fields = fields.skip(11).map(|field| field.parse::<u64>().ok());
    let mut ticks = || fields.next().flatten();
    let [user, system, children_user, children_system] = [ticks()?, ticks()?, ticks()?, ticks()?];
    let pages = fields.nth(6).flatten()?;
    Some(ProcessUsage {
        cpu: duration(user + system),
        ended_children: duration(children_user + children_system),
        memory_bytes: pages * rustix::param::page_size() as u64,
    })
}

fn duration(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1000 / clock::ticks_per_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_any_name() {
        let ticks = clock::ticks_per_second();
        let text = format!(
            "7 (a) b (c) S 1 7 7 0 -1 4194304 9 9 9 9 {} {} {} {ticks} 20 0 3 0 500 1000 12 18446744073709551615 1",
            2 * ticks,
            3 * ticks,
            4 * ticks
        );
        let found = parse(&text).expect("all fields are there");
        assert_eq!((found.cpu, found.ended_children), (Duration::from_secs(5), Duration::from_secs(5)));
        assert_eq!(found.memory_bytes, 12 * rustix::param::page_size() as u64);
        assert_eq!(parse("7 (short) S 1 7"), None);
    }
}
