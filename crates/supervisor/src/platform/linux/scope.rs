//! A scope of its own, for a process that was started inside a service of systemd: the end of that service would end this
//! process too (`KillMode=control-group`, systemd.kill(5)). Which manager is asked, and how; the messages are in `dbus.rs`.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{geteuid, getpid};

use super::cgroup::{OwnGroups, PREFIX};
use super::clock;
use super::dbus::{Answer, Incoming, Method, Values, greeting, read_greeting, read_message};

/// Says with `off` that no service manager is asked for a scope.
pub const SCOPE_VARIABLE: &str = "HOMING_SCOPE";

/// How long a service manager has to answer and to act: while it reloads its configuration it does neither.
const MANAGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Between two looks whether it has moved this process: it answers before it does so.
const PAUSE: Duration = Duration::from_micros(250);

/// Longest description, in characters.
const MAX_DESCRIPTION: usize = 120;

/// Where a process stands among the units of systemd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Nothing that ends takes it with it.
    Free,
    /// In a scope that was made for it just now.
    OwnScope,
    /// In a unit whose end ends it, and no manager gave it a scope.
    Bound {
        /// The unit's name, such as `chat.service`.
        unit: String,
        /// Why there is no scope.
        reason: String,
    },
}

/// Longest name of a service that is kept, in characters.
const MAX_SERVICE: usize = 64;

impl Placement {
    /// The service whose end ends this process, as it is recorded: a long name is cut.
    pub fn service(&self) -> Option<String> {
        match self {
            Placement::Bound { unit, .. } => Some(unit.chars().take(MAX_SERVICE).collect()),
            Placement::Free | Placement::OwnScope => None,
        }
    }
}

/// Moves this process into a scope `homing-NAME.scope` of its own, with groups below it delegated, where it stands in a
/// service, in a login session, or in the scope of another job, and reads its groups again then. It waits at most 2 s for
/// the manager.
///
/// Without the capability to do so (no manager, no right) nothing changes but the answer.
pub fn enter_own(own: &mut OwnGroups, name: &str, description: &str) -> Placement {
    let Some(unit) = cgroup_of_unit(own).and_then(unit_that_ends_us).map(str::to_owned) else {
        return Placement::Free;
    };
    let bound = |reason: String| match unit.ends_with(".service") {
        true => Placement::Bound { unit: unit.clone(), reason },
        // The end of a login session ends what runs in it only where the administrator wants that
        // (`KillUserProcesses=`, logind.conf(5)); a scope of ours ends with its last process.
        false => Placement::Free,
    };
    if std::env::var_os(SCOPE_VARIABLE).is_some_and(|value| value == "off") {
        return bound(format!("{SCOPE_VARIABLE} is off"));
    }
    let scope = format!("{PREFIX}{name}.scope");
    match ask_for(own, &scope, &one_line(description)) {
        Ok(moved) => {
            *own = moved;
            Placement::OwnScope
        }
        Err(error) => bound(error.to_string()),
    }
}

/// What a job that is launched from here can expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The service, session or scope that this process runs in.
    pub unit: String,
    /// Whether a manager can be reached that gives a job a scope of its own, or why not.
    pub manager: Result<(), String>,
}

/// Where this process runs in a unit of systemd that may end what is launched from here, whether a job gets a scope of its
/// own. Nothing is asked.
pub fn outlook() -> Option<Outlook> {
    let own = OwnGroups::read();
    let cgroup = cgroup_of_unit(&own)?;
    let unit = unit_that_ends_us(cgroup)?.to_owned();
    Some(Outlook { unit, manager: find_manager(cgroup).map(drop).map_err(|error| error.to_string()) })
}

/// The control group of this process, as systemd sees it: in the unified hierarchy, or in its own of version 1.
fn cgroup_of_unit(own: &OwnGroups) -> Option<&str> {
    ["0::", ":name=systemd:"]
        .into_iter()
        .filter_map(|hierarchy| own.path_in(hierarchy))
        .find(|path| unit_of(path).is_some())
}

/// The innermost service or scope of a control group; what was delegated may be divided further.
fn unit_of(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))
}

/// That unit, where its end is none of our business: a service, a login session, or the scope of another job.
fn unit_that_ends_us(cgroup: &str) -> Option<&str> {
    unit_of(cgroup)
        .filter(|unit| unit.ends_with(".service") || unit.starts_with("session-") || unit.starts_with(PREFIX))
}

/// Whether a directory in `/sys/fs/cgroup` is that of a scope that [`enter_own`] has made.
pub(super) fn is_own_scope(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(".scope"))
}

/// The socket of a service manager, and whether messages go through a bus.
#[derive(Debug)]
struct Manager {
    socket: PathBuf,
    is_bus: bool,
}

/// The manager that gives this user scopes: that of the system to root, that of the user to anybody else. Its own socket
/// is faster than the bus, and is there without one.
///
/// The user's manager ends with the user's last login session, and all its scopes with it, unless the user lingers
/// (loginctl(1)). So it is asked by what runs below it already, and otherwise only where the user lingers.
fn find_manager(cgroup: &str) -> io::Result<Manager> {
    let uid = geteuid();
    let is_below_user_manager = cgroup.contains(&format!("/user@{}.service/", uid.as_raw()));
    let candidates = if uid.is_root() && !is_below_user_manager {
        vec![("/run/systemd/private".into(), false), ("/run/dbus/system_bus_socket".into(), true)]
    } else if !is_below_user_manager && !lingers(uid.as_raw()) {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "this user has no service manager that stays (loginctl enable-linger)",
        ));
    } else {
        let named = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let usual = PathBuf::from(format!("/run/user/{}", uid.as_raw()));
        [named, Some(usual)]
            .into_iter()
            .flatten()
            .flat_map(|runtime| [(runtime.join("systemd/private"), false), (runtime.join("bus"), true)])
            .collect()
    };
    let found: Option<(PathBuf, bool)> = candidates.into_iter().find(|(socket, _)| socket.exists());
    let (socket, is_bus) =
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no service manager can be reached"))?;
    Ok(Manager { socket, is_bus })
}

/// Whether the user's manager runs without a login session.
fn lingers(uid: u32) -> bool {
    let marks = Path::new("/var/lib/systemd/linger");
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_uid = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    };
    // Users who are not in that file, but in a directory of the network, are named by their login.
    let named = std::env::var("LOGNAME").ok().filter(|name| !name.contains('/') && !name.is_empty());
    users.lines().find_map(of_uid).or(named).is_some_and(|name| marks.join(name).exists())
}

/// Asks for a scope and waits until this process is in it. Returns the groups that it is in then.
fn ask_for(own: &OwnGroups, scope: &str, description: &str) -> io::Result<OwnGroups> {
    let give_up_at = clock::monotonic() + MANAGER_TIMEOUT;
    let manager = find_manager(cgroup_of_unit(own).unwrap_or_default())?;
    let mut stream = UnixStream::connect(&manager.socket)?;
    let mut request = greeting(geteuid().as_raw());
    if manager.is_bus {
        request.extend(HELLO.call(HELLO_SERIAL, &Values::default()));
    }
    let pid = getpid().as_raw_nonzero().get().unsigned_abs();
    request.extend(START_TRANSIENT_UNIT.call(START_SERIAL, &scope_arguments(scope, description, pid)));
    stream.set_write_timeout(Some(MANAGER_TIMEOUT))?;
    stream.write_all(&request)?;
    match await_answer(&mut stream, give_up_at)?.error {
        None => {}
        Some(name) => return Err(io::Error::other(format!("the service manager refused: {name}"))),
    }
    loop {
        let own = OwnGroups::read();
        if cgroup_of_unit(&own).and_then(unit_of) == Some(scope) {
            return Ok(own);
        }
        if clock::monotonic() > give_up_at {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(PAUSE);
    }
}

const HELLO_SERIAL: u32 = 1;
const START_SERIAL: u32 = 2;

const HELLO: Method<'_> = Method {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
    member: "Hello",
    signature: "",
};

/// org.freedesktop.systemd1(5).
const START_TRANSIENT_UNIT: Method<'_> = Method {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
    member: "StartTransientUnit",
    signature: "ssa(sv)a(sa(sv))",
};

/// Name, mode, properties, and auxiliary units, of which there are none.
fn scope_arguments(scope: &str, description: &str, pid: u32) -> Values {
    let mut arguments = Values::default();
    arguments.string(scope).string("fail");
    arguments.array(8, |properties| {
        properties.structure().string("Description").signature("s").string(description);
        properties.structure().string("PIDs").signature("au").array(4, |pids| {
            pids.u32(pid);
        });
        properties.structure().string("Delegate").signature("b").bool(true);
        // One that failed would otherwise stay in the list of units.
        properties.structure().string("CollectMode").signature("s").string("inactive-or-failed");
    });
    arguments.array(8, |_| {});
    arguments
}

/// Reads until the answer to the request is there.
fn await_answer(stream: &mut UnixStream, give_up_at: Duration) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut is_greeted = false;
    loop {
        let incoming = if is_greeted { read_message(&bytes) } else { read_greeting(&bytes) };
        match incoming {
            Incoming::Answer(answer, _) if answer.serial == START_SERIAL => return Ok(answer),
            Incoming::Answer(_, length) | Incoming::Other(length) => {
                is_greeted = true;
                bytes.drain(..length);
                continue;
            }
            Incoming::Broken => return Err(io::ErrorKind::InvalidData.into()),
            Incoming::Incomplete => {}
        }
        let left = give_up_at.saturating_sub(clock::monotonic());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => bytes.extend(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(error) => return Err(error),
        }
    }
}

/// What people read in the list of units: one line, without control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_whose_end_ends_us_is_found() {
        let unit = |cgroup| unit_that_ends_us(cgroup);
        assert_eq!(unit("/system.slice/chat.service"), Some("chat.service"));
        assert_eq!(unit("/system.slice/chat.service/payload/part"), Some("chat.service"));
        let user = "/user.slice/user-1000.slice/user@1000.service/app.slice";
        let service = format!("{user}/chat.service");
        assert_eq!(unit(&service), Some("chat.service"));
        assert_eq!(unit("/user.slice/user-1000.slice/session-3.scope"), Some("session-3.scope"));
        let job = format!("{user}/homing-0123456789ab.scope/homing-0123456789ab");
        assert_eq!(unit(&job), Some("homing-0123456789ab.scope"));
        let terminal = format!("{user}/app-terminal-1.scope");
        for free in ["/", "/system.slice/docker-5f.scope", terminal.as_str(), "/kubepods/pod1"] {
            assert_eq!(unit(free), None, "{free}");
        }
    }

    #[test]
    fn the_arguments_are_what_systemd_takes() {
        use zbus::Variant;
        use zbus::wire::{NATIVE_ENDIAN, serialized::Context, to_bytes};
        let properties = vec![
            ("Description", Variant::from("homing job: it's é")),
            ("PIDs", Variant::from(vec![4242_u32])),
            ("Delegate", Variant::from(true)),
            ("CollectMode", Variant::from("inactive-or-failed")),
        ];
        let none: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        let arguments = ("homing-0123456789ab.scope", "fail", properties, none);
        let wanted = to_bytes(Context::new(NATIVE_ENDIAN, 0), &arguments).expect("it can be written");
        let ours = scope_arguments("homing-0123456789ab.scope", "homing job: it's é", 4242);
        assert_eq!(ours.bytes(), &wanted[..]);
    }

    #[test]
    fn a_description_is_one_line() {
        assert_eq!(one_line("a\nb\0c"), "a b c");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), MAX_DESCRIPTION);
    }
}
