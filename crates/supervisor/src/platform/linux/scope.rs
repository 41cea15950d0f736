//! Moves a process into its own systemd scope if it was started inside a service: the end of the service would also
//! kill this process (`KillMode=control-group`, systemd.kill(5)). Selects the service manager and calls it; `dbus.rs`
//! has the messages.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{geteuid, getpid};

use super::cgroup::{OwnGroups, PREFIX};
use super::clock;
use super::dbus::{Answer, Incoming, Method, Values, greeting, read_greeting, read_message};

/// The environment variable that disables scopes with `off`.
pub const SCOPE_VARIABLE: &str = "HOMING_SCOPE";

/// Timeout for the service manager to answer and act. It does neither while it reloads its configuration.
const MANAGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause between two checks whether it has moved this process. It answers before it does.
const PAUSE: Duration = Duration::from_micros(250);

/// Maximum length of a description, in characters.
const MAX_DESCRIPTION: usize = 120;

/// The systemd unit of a process, if its end ends the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// No unit whose end would end the process.
    Free,
    /// A new scope for this process.
    OwnScope,
    /// A unit whose end ends the process, because it could not get a scope.
    Bound {
        /// The unit's name, such as `chat.service`.
        unit: String,
        /// Why it has no scope.
        reason: String,
    },
}

/// Maximum length of a recorded service name, in characters.
const MAX_SERVICE: usize = 64;

impl Placement {
    /// Returns the service whose end ends this process, for the record. A long name is cut.
    pub fn service(&self) -> Option<String> {
        match self {
            Placement::Bound { unit, .. } => Some(unit.chars().take(MAX_SERVICE).collect()),
            Placement::Free | Placement::OwnScope => None,
        }
    }
}

/// Moves this process into its own scope `homing-NAME.scope`, with delegation, if it is in a service, in a login
/// session, or in the scope of another job. Then reads its groups again. Waits at most 2 s for the manager.
///
/// If this is not possible (no manager, no permission), changes nothing and returns the reason.
pub fn enter_own(own: &mut OwnGroups, name: &str, description: &str) -> Placement {
    let Some(unit) = cgroup_of_unit(own).and_then(unit_that_ends_us).map(str::to_owned) else {
        return Placement::Free;
    };
    let bound = |reason: String| match unit.ends_with(".service") {
        true => Placement::Bound { unit: unit.clone(), reason },
        // The end of a login session ends its processes only if the administrator configures it
        // (`KillUserProcesses=`, logind.conf(5)). A scope of homing ends with its last process.
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

/// The prediction for a job that this process launches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// The service, session or scope that this process runs in.
    pub unit: String,
    /// Whether a service manager that can create a scope is reachable, or why not.
    pub manager: Result<(), String>,
}

/// Predicts whether a job gets its own scope, if this process runs in a systemd unit that may end the job. Does not
/// call the service manager.
pub fn outlook() -> Option<Outlook> {
    let own = OwnGroups::read();
    let cgroup = cgroup_of_unit(&own)?;
    let unit = unit_that_ends_us(cgroup)?.to_owned();
    Some(Outlook { unit, manager: find_manager(cgroup).map(drop).map_err(|error| error.to_string()) })
}

/// Returns the control group of this process in systemd's hierarchy: the unified one, or `name=systemd` in version 1.
fn cgroup_of_unit(own: &OwnGroups) -> Option<&str> {
    ["", "name=systemd"]
        .into_iter()
        .filter_map(|controllers| own.path_in(controllers))
        .find(|path| unit_of(path).is_some())
}

/// Returns the innermost service or scope of a control group. A delegated group may have further child groups.
fn unit_of(cgroup: &str) -> Option<&str> {
    cgroup.rsplit('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))
}

/// Returns the unit if its end must not end this process: a service, a login session, or the scope of another job.
fn unit_that_ends_us(cgroup: &str) -> Option<&str> {
    unit_of(cgroup)
        .filter(|unit| unit.ends_with(".service") || unit.starts_with("session-") || unit.starts_with(PREFIX))
}

/// The socket of a service manager, and whether messages go through a bus.
#[derive(Debug)]
struct Manager {
    socket: PathBuf,
    is_bus: bool,
}

/// Finds the service manager that creates scopes for this user: that of the system for root, that of the user for
/// others. Its private socket is faster than the bus and does not require one.
///
/// The user's manager ends with the last login session of the user, with all its scopes, unless lingering is enabled
/// (loginctl(1)). So only processes that already run below it use it, or any process if lingering is enabled.
fn find_manager(cgroup: &str) -> io::Result<Manager> {
    let uid = geteuid();
    let is_below_user_manager = cgroup.contains(&format!("/user@{}.service/", uid.as_raw()));
    let candidates = if uid.is_root() && !is_below_user_manager {
        vec![("/run/systemd/private".into(), false), ("/run/dbus/system_bus_socket".into(), true)]
    } else if !is_below_user_manager && !lingers(uid.as_raw()) {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the service manager of this user ends at logout (run loginctl enable-linger)",
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
        found.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no service manager is reachable"))?;
    Ok(Manager { socket, is_bus })
}

/// Whether lingering is enabled: the user's manager runs without a login session.
fn lingers(uid: u32) -> bool {
    let marks = Path::new("/var/lib/systemd/linger");
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_uid = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
    };
    // Users of a network directory are not in this file: use the login name.
    let named = std::env::var("LOGNAME").ok().filter(|name| !name.contains('/') && !name.is_empty());
    users.lines().find_map(of_uid).or(named).is_some_and(|name| marks.join(name).exists())
}

/// Requests a scope and waits until this process is in it. Returns its new groups.
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

/// The arguments: name, mode, properties, and an empty list of auxiliary units.
fn scope_arguments(scope: &str, description: &str, pid: u32) -> Values {
    let mut arguments = Values::default();
    arguments.string(scope).string("fail");
    arguments.array(8, |properties| {
        properties.structure().string("Description").signature("s").string(description);
        properties.structure().string("PIDs").signature("au").array(4, |pids| {
            pids.u32(pid);
        });
        properties.structure().string("Delegate").signature("b").bool(true);
        // Otherwise a failed scope would stay in the list of units.
        properties.structure().string("CollectMode").signature("s").string("inactive-or-failed");
    });
    arguments.array(8, |_| {});
    arguments
}

/// Reads until the reply to the request arrives.
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

/// Returns a description for the list of units: one line, without control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_whose_end_ends_this_process_is_found() {
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
    fn arguments_match_the_signature_of_systemd() {
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
        let actual = scope_arguments("homing-0123456789ab.scope", "homing job: it's é", 4242);
        assert_eq!(actual.bytes(), &wanted[..]);
    }

    #[test]
    fn description_is_one_line() {
        assert_eq!(one_line("a\nb\0c"), "a b c");
        assert_eq!(one_line(&"é".repeat(500)).chars().count(), MAX_DESCRIPTION);
    }
}
