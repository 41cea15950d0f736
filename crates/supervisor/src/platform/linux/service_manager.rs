//! Finds the systemd service manager of this process, and asks it for a scope. `dbus.rs` has the messages.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::dbus::{Answer, Incoming, Method, Values, greeting, read_greeting, read_message};
use super::{clock, user};

/// Timeout for the service manager to answer and act. It does neither while it reloads its configuration.
pub(super) const MANAGER_TIMEOUT: Duration = Duration::from_secs(2);

/// The socket of a service manager, and whether messages go through a bus.
#[derive(Debug)]
pub(super) struct ServiceManager {
    socket: PathBuf,
    is_bus: bool,
}

impl ServiceManager {
    /// Finds the service manager that creates scopes for this user: that of the system for root, that of the user for
    /// others. Its private socket is faster than the bus and does not require one.
    ///
    /// The user's manager ends with the last login session of the user, with all its scopes, unless lingering is enabled
    /// (loginctl(1)). So only processes that already run below it use it, or any process if lingering is enabled.
    ///
    /// # Errors
    /// Why no manager can create a scope that lasts as long as the job.
    pub(super) fn find(cgroup: &str) -> io::Result<ServiceManager> {
        let uid = user::effective_id();
        let is_below_user_manager = cgroup.contains(&format!("/user@{uid}.service/"));
        let candidates = if user::is_root() && !is_below_user_manager {
            vec![("/run/systemd/private".into(), false), ("/run/dbus/system_bus_socket".into(), true)]
        } else if !is_below_user_manager && !lingers(uid) {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the service manager of this user ends at logout (run loginctl enable-linger)",
            ));
        } else {
            let named =
                std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
            let usual = PathBuf::from(format!("/run/user/{uid}"));
            [named, Some(usual)]
                .into_iter()
                .flatten()
                .flat_map(|runtime| [(runtime.join("systemd/private"), false), (runtime.join("bus"), true)])
                .collect()
        };
        let found: Option<(PathBuf, bool)> = candidates.into_iter().find(|(socket, _)| socket.exists());
        let (socket, is_bus) = found
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no service manager is reachable"))?;
        Ok(ServiceManager { socket, is_bus })
    }

    /// Requests a scope for this process, and waits for the answer. The manager moves this process after it has answered:
    /// keep the returned connection open until then.
    ///
    /// # Errors
    /// If the manager refuses, or has not answered at `give_up_at` on the monotonic clock.
    pub(super) fn start_scope(
        &self,
        scope: &str,
        description: &str,
        give_up_at: Duration,
    ) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket)?;
        let mut request = greeting(user::effective_id());
        if self.is_bus {
            request.extend(HELLO.call(HELLO_SERIAL, &Values::default()));
        }
        let arguments = scope_arguments(scope, description, std::process::id());
        request.extend(START_TRANSIENT_UNIT.call(START_SERIAL, &arguments));
        stream.set_write_timeout(Some(MANAGER_TIMEOUT))?;
        stream.write_all(&request)?;
        match await_answer(&mut stream, give_up_at)?.error {
            None => Ok(stream),
            Some(name) => Err(io::Error::other(format!("the service manager refused: {name}"))),
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
