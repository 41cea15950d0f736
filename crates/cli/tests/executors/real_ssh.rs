//! The same over a real ssh(1) and sshd(8) on loopback, with keys of its own. Skipped where sshd is not installed;
//! `HOMING_TEST_SSHD` names one elsewhere.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use testkit::{kill, processes_where, skip, wait_until};

use crate::machines::Machines;

/// A server that accepts one key.
struct Server {
    sshd: Child,
    program: PathBuf,
    config: PathBuf,
}

impl Server {
    fn start(machines: &Machines) -> Option<Server> {
        let named = std::env::var_os("HOMING_TEST_SSHD").map(PathBuf::from);
        let program = named.unwrap_or_else(|| PathBuf::from("/usr/sbin/sshd"));
        if !program.exists() || !has_program("ssh") || !has_program("ssh-keygen") {
            skip("sshd is not installed; executors were tested with a stand-in for ssh only");
            return None;
        }
        let network = &machines.network;
        for key in ["host_key", "user_key"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(network.join(key));
            assert!(keygen.status().expect("ssh-keygen starts").success());
        }
        let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one").port();
        let folder = network.display();
        let config = network.join("sshd_config");
        let text = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host_key\nAuthorizedKeysFile {folder}/user_key.pub\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\nPidFile none\nPermitRootLogin yes\n"
        );
        fs::write(&config, text).expect("a configuration");
        let host_key = fs::read_to_string(network.join("host_key.pub")).expect("a key");
        fs::write(network.join("known"), format!("[127.0.0.1]:{port} {host_key}")).expect("a file");
        let user = String::from_utf8(Command::new("id").arg("-un").output().expect("id starts").stdout)
            .expect("a name");
        let client = format!(
            "Host box\n  HostName 127.0.0.1\n  Port {port}\n  User {}\n  IdentityFile {folder}/user_key\n  \
             IdentitiesOnly yes\n  UserKnownHostsFile {folder}/known\n  GlobalKnownHostsFile none\n",
            user.trim()
        );
        fs::write(network.join("ssh_config"), client).expect("a configuration");
        write_script(&network.join("bin/ssh"), &format!("exec /usr/bin/ssh -F {folder}/ssh_config \"$@\""));
        // sshd changes to this directory before a user has logged in (sshd(8)).
        let _ = fs::create_dir_all("/run/sshd");
        machines.configure(&format!(
            "[executors.box]\nssh = \"box\"\nprogram = \"{}\"\nhome = \"{}\"\n",
            crate::machines::PROGRAM,
            machines.home_there().display()
        ));
        let mut server = Server { sshd: serve(&program, &config), program, config };
        wait_until("the server answers", || {
            assert!(server.sshd.try_wait().expect("it is asked").is_none(), "sshd has ended");
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        // A locked account or one without a shell may not log in.
        let login = Command::new(network.join("bin/ssh")).args(["-oBatchMode=yes", "box", "true"]).output();
        let login = login.expect("ssh starts");
        if !login.status.success() {
            skip(&format!(
                "sshd does not let this user in: {}",
                String::from_utf8_lossy(&login.stderr).trim()
            ));
            return None;
        }
        Some(server)
    }

    /// Ends the server and all its connections, as a machine that restarts its network does.
    fn stop(&mut self) {
        let config = self.config.to_string_lossy().into_owned();
        let pid = self.sshd.id();
        let children = processes_where(|process| {
            process.command_line.starts_with("sshd:") && has_ancestor(process.pid, pid)
        });
        children.iter().for_each(|child| kill(child.pid));
        kill(pid);
        let _ = self.sshd.wait();
        wait_until("no server is left", || {
            processes_where(|process| process.command_line.contains(&config)).is_empty()
        });
    }

    fn start_again(&mut self) {
        self.sshd = serve(&self.program, &self.config);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn serve(program: &Path, config: &Path) -> Child {
    let mut sshd = Command::new(program);
    sshd.args(["-D", "-e", "-f"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    sshd.spawn().expect("sshd starts")
}

fn has_ancestor(pid: u32, ancestor: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    parent.is_some_and(|parent: u32| parent == ancestor || (parent > 1 && has_ancestor(parent, ancestor)))
}

fn has_program(name: &str) -> bool {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|folder| folder.join(name).is_file())
}

fn write_script(path: &Path, command: &str) {
    fs::write(path, format!("#!/bin/sh\n{command}\n")).expect("a script");
}

#[test]
fn jobs_survive_a_real_server_that_goes_away_and_comes_back() {
    let machines = Machines::new();
    let Some(mut server) = Server::start(&machines) else { return };
    let go = machines.home.scratch().join("go");
    let id = machines.launch(&format!("until [ -e {} ]; do sleep 0.01; done; seq 3; exit 5", go.display()));
    wait_until("it is connected", || !machines.connections().is_empty());
    server.stop();
    wait_until("the cut is noticed", || machines.stdout(&["executors"]).contains("unreachable"));
    fs::write(go, "").expect("a file");
    assert_eq!(machines.job(&id)["state"], "running");
    let refused = machines.run(&["run", "--on", "box", "true"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("Connection refused"), "{refused:?}");
    server.start_again();
    assert_eq!(machines.finished(&id)["outcome"]["exit_code"], 5);
    assert_eq!(machines.stdout(&["output", &id]), "1\n2\n3\n");
    let doctor = machines.run(&["doctor", "--on", "box"]);
    assert!(doctor.status.success(), "{doctor:?}");
    // A host key that is not known is an error with advice, and no question.
    fs::write(machines.network.join("known"), "").expect("a file");
    let unknown = machines.run(&["run", "--on", "box", "true"]);
    let stderr = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(stderr.contains("Host key verification failed") && stderr.contains("accept the key"), "{stderr}");
    // So is a password.
    fs::copy(machines.network.join("host_key"), machines.network.join("user_key")).expect("another key");
    let known = fs::read_to_string(machines.network.join("host_key.pub")).expect("a key");
    let port = fs::read_to_string(machines.network.join("sshd_config")).expect("a file");
    let port = port.lines().find_map(|line| line.strip_prefix("Port ")).expect("a port").to_owned();
    fs::write(machines.network.join("known"), format!("[127.0.0.1]:{port} {known}")).expect("a file");
    let denied = machines.run(&["run", "--on", "box", "true"]);
    let stderr = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert!(stderr.contains("Permission denied") && stderr.contains("BatchMode"), "{stderr}");
}
