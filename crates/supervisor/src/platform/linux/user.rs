//! The user of this process, and the groups that only this user belongs to.

use std::fs::File;
use std::io::Read;

/// Longest accepted database, in bytes.
const MAX_BYTES: u64 = 4 << 20;

/// Returns the effective user id of this process.
pub fn effective_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this is the primary group of this user only, and has no other members. Many systems give each user such a
/// group. Reads only `/etc/passwd` and `/etc/group`: a group from a directory service may have any members.
pub(super) fn is_private_group(gid: u32) -> bool {
    let user = effective_id();
    read("/etc/passwd")
        .zip(read("/etc/group"))
        .is_some_and(|(users, groups)| is_private(gid, user, &users, &groups))
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// `users` as in passwd(5), `groups` as in group(5).
fn is_private(gid: u32, user: u32, users: &str, groups: &str) -> bool {
    let mut names = Vec::new();
    for line in users.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, primary, ..] = fields[..] else { continue };
        match (uid.parse() == Ok(user), primary.parse() == Ok(gid)) {
            (true, true) => names.push(name),
            (false, true) => return false,
            (_, false) => {}
        }
    }
    let mut is_known = false;
    for line in groups.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, id, members] = fields[..] else { continue };
        if id.parse() == Ok(gid) {
            is_known = true;
            if members.split(',').any(|member| !member.is_empty() && !names.contains(&member)) {
                return false;
            }
        }
    }
    is_known && !names.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_other_members_is_private() {
        let users = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nbob:x:1001:100::/:/bin/sh\n\
                     eve:x:1002:100::/:/bin/sh\nbad line\n";
        let groups = "root:x:0:\nann:x:1000:\nusers:x:100:\nteam:x:2000:ann,bob\n";
        assert!(is_private(1000, 1000, users, groups));
        assert!(is_private(1000, 1000, users, &groups.replace("ann:x:1000:", "ann:x:1000:ann")));
        assert!(!is_private(1000, 1000, users, &groups.replace("ann:x:1000:", "ann:x:1000:ann,bob")));
        // The primary group of several users, a group of a team, and an unknown group.
        assert!(!is_private(100, 1001, users, groups));
        assert!(!is_private(2000, 1000, users, groups));
        assert!(!is_private(3000, 1000, users, groups));
        assert!(!is_private(1000, 1000, users, "root:x:0:\n"));
        assert!(!is_private(1000, 1001, users, groups));
    }
}
