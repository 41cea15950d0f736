//! Starts a server and serves until it is asked to end.

use std::io::{self, Read};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use homing::{Homing, MonitorEnd, MonitorHandle, MonitorOptions};
use homing_supervisor::platform::local_socket::{self, LocalListener};
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::app::{Access, App};
use super::browser_link::{link, open_browser};
use super::closing::Closing;
use super::directory::Directory;
use super::gate::Gate;
use super::instance::{Claim, Description, Instance};
use super::listen::{Acceptor, TcpAddress, bind_socket, bind_tcp};
use super::tokens::{TokenCheck, TokenFile};
use crate::exit::Failure;
use crate::mcp::{McpEndpoint, SessionRule};
use crate::render::{MonitorLog, note, note_with_hint, print_json, say};
use crate::server::{HomeHandle, run, token_from_file};
use crate::service::Supervision;

/// The file with the token of the server, in the home.
const TOKEN_FILE: &str = "serve.token";

/// The names of this machine.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// How to serve.
#[derive(Debug)]
pub(crate) struct ServeOptions {
    /// Where to listen on TCP; `None` for the socket only.
    pub(crate) tcp: Option<TcpAddress>,
    /// Whether to open the page in a browser.
    pub(crate) open: bool,
    /// Whether to print the addresses as JSON.
    pub(crate) json: bool,
    /// Whether to be a server beside others, which ends when standard input is closed.
    pub(crate) private: bool,
    /// Whether to deliver results too.
    pub(crate) monitor: bool,
    /// Empty, or a path with a slash at its beginning and none at its end.
    pub(crate) base_path: String,
    /// Further accepted host names.
    pub(crate) hosts: Vec<String>,
    /// Further accepted web origins.
    pub(crate) origins: Vec<String>,
}

/// The addresses of a server as JSON.
#[derive(Serialize)]
struct ReadyDocument<'a> {
    #[serde(flatten)]
    server: &'a Description,
    already_running: bool,
}

/// Serves until a signal, or until standard input is closed for a private server. Returns at once if another process serves
/// the home already.
///
/// # Errors
/// When the home or an address cannot be used.
pub(crate) fn serve(options: ServeOptions) -> Result<(), Failure> {
    let homing = Homing::open()?;
    let directory = Directory::open(homing.home_path())?;
    let tokens = TokenFile::in_directory(directory.clone());
    let instance = match options.private {
        true => Instance::private(&directory),
        false => match Instance::claim(&directory)? {
            Claim::Own(instance) => instance,
            Claim::Other(server) => return already_running(&server, &options, &directory, &tokens),
        },
    };
    let token_file = homing.home_path().join(TOKEN_FILE);
    let own_token = token_from_file(&token_file)?;
    let home = Arc::new(HomeHandle::open()?);
    let (begin_closing, closing) = Closing::new();
    let mcp = McpEndpoint::new(Arc::clone(&home), SessionRule::for_anybody(None, false)?);
    let mut hosts: Vec<String> = LOCAL_NAMES.map(str::to_owned).into();
    hosts.extend(options.tcp.map(|address| address.ip.to_string()));
    hosts.extend(options.hosts.iter().cloned());
    let access = Access {
        own_token,
        token_file,
        tokens: TokenCheck::new(tokens.clone()),
        hosts,
        origins: options.origins.clone(),
        base_path: options.base_path.clone(),
    };
    let app = Arc::new(App::new(home, mcp, access, closing.clone()));
    let acceptor = Arc::new(Acceptor::new(Gate::new(Arc::clone(&app)), closing));
    let monitor = options.monitor.then(|| MonitorThread::start(&homing)).transpose()?;
    let end = Arc::new(End { begin_closing, acceptor: Arc::clone(&acceptor), monitor });
    let serving = Serving { options, directory, tokens, instance, app, acceptor, end: Arc::clone(&end) };
    run(serving.run(), async move { end.close().await })
}

/// Everything of a running server.
struct Serving {
    options: ServeOptions,
    directory: Directory,
    tokens: TokenFile,
    instance: Instance,
    app: Arc<App>,
    acceptor: Arc<Acceptor>,
    end: Arc<End>,
}

impl Serving {
    async fn run(self) -> Result<(), Failure> {
        let tcp = match self.options.tcp {
            Some(address) => Some(bind_tcp(address).await?),
            None => None,
        };
        let socket = self.bind_socket(tcp.is_some())?;
        let address = tcp.as_ref().map(TcpListener::local_addr).transpose()?;
        let description = Description {
            url: address.map(|address| format!("http://{address}{}", self.options.base_path)),
            socket: socket.as_ref().map(|(_, path)| path.clone()),
            token_file: self.app.access.token_file.clone(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.instance.describe(&description)?;
        announce(&description, false, self.options.json)?;
        if address.is_some_and(|address| !is_loopback(address.ip())) {
            note(
                "anyone who reaches this address and has a token can run commands as you; traffic is not encrypted",
            );
        }
        if self.options.open {
            show_page(&description, &self.directory, &self.tokens)?;
        }
        let supervision = Supervision::from_environment();
        supervision.ready("serving");
        let ended = if self.options.private { Some(end_of_stdin()?) } else { None };
        tokio::select! {
            () = accept_tcp(&self.acceptor, tcp.as_ref()) => {}
            () = accept_local(&self.acceptor, socket.as_ref().map(|(listener, _)| listener)) => {}
            () = supervision.keep_alive() => {}
            () = wait_for(ended) => {}
        }
        self.end.close().await;
        Ok(())
    }

    /// Listens on the socket. A server that has another address can do without.
    fn bind_socket(&self, has_tcp: bool) -> Result<Option<(LocalListener, PathBuf)>, Failure> {
        if !local_socket::IS_SUPPORTED {
            return match has_tcp {
                true => Ok(None),
                false => Err(Failure::Usage {
                    code: "no_socket",
                    message: "this system has no socket that only you can use".to_owned(),
                    hint: Some("run homing serve --listen 127.0.0.1, or homing serve --open".to_owned()),
                }),
            };
        }
        match bind_socket(&self.directory, &self.instance.socket_name()) {
            Ok(bound) => Ok(Some(bound)),
            Err(error) if has_tcp => {
                note(&format!("cannot listen on a socket: {error}"));
                Ok(None)
            }
            Err(error) => Err(Failure::Refused {
                code: "listen",
                message: format!("cannot listen on a socket: {error}"),
                hint: Some(
                    "a path may be too long; set HOMING_HOME to a shorter one, or use --listen".to_owned(),
                ),
            }),
        }
    }
}

/// How a server ends.
struct End {
    begin_closing: watch::Sender<bool>,
    acceptor: Arc<Acceptor>,
    monitor: Option<MonitorThread>,
}

impl End {
    /// Ends streams and waits, and completes when every request is answered, at the latest after a short time.
    async fn close(&self) {
        if let Some(monitor) = &self.monitor {
            monitor.handle.stop();
        }
        self.begin_closing.send_replace(true);
        self.acceptor.all_closed().await;
        McpEndpoint::all_acknowledged().await;
    }
}

/// A monitor in this process. Its end does not end the server.
struct MonitorThread {
    handle: MonitorHandle,
}

impl MonitorThread {
    fn start(homing: &Homing) -> Result<MonitorThread, Failure> {
        let log = MonitorLog::new(false);
        let monitor = homing.monitor(MonitorOptions::new().observe(move |event| drop(log.print(event))))?;
        let handle = monitor.handle();
        std::thread::Builder::new().name("monitor".to_owned()).spawn(move || match monitor.run() {
            Ok(MonitorEnd::LeftToAnother) => say("another monitor delivers the results"),
            Ok(_) => {}
            Err(error) => note(&format!("the monitor has ended: {error}")),
        })?;
        Ok(MonitorThread { handle })
    }
}

/// Reports the server that serves the home already.
fn already_running(
    server: &Description,
    options: &ServeOptions,
    directory: &Directory,
    tokens: &TokenFile,
) -> Result<(), Failure> {
    if server.url.is_none() && options.tcp.is_some() {
        let pid = server.pid;
        return Err(Failure::Refused {
            code: "already_running",
            message: format!("a server of this home (pid {pid}) is running, and listens only on its socket"),
            hint: Some(format!(
                "end it with kill {pid} and run this again, or add --private to run another server"
            )),
        });
    }
    announce(server, true, options.json)?;
    if options.open { show_page(server, directory, tokens) } else { Ok(()) }
}

/// Prints the addresses: as one line of JSON, or as a message.
fn announce(server: &Description, already_running: bool, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json(&ReadyDocument { server, already_running });
    }
    let mut addresses: Vec<String> = server.url.iter().cloned().collect();
    addresses.extend(server.socket.iter().map(|path| format!("socket {}", path.display())));
    let what = if already_running {
        format!("already served by process {}", server.pid)
    } else {
        "serving".to_owned()
    };
    say(&format!("{what}: {}; token in {}", addresses.join(", "), server.token_file.display()));
    Ok(())
}

/// Opens the page in a browser, and prints the link.
fn show_page(server: &Description, directory: &Directory, tokens: &TokenFile) -> Result<(), Failure> {
    let Some(url) = &server.url else { return Ok(()) };
    let link = link(url, &tokens.create_code()?);
    say(&format!("open {link} (valid once, for 60 seconds)"));
    if !open_browser(directory, &link)? {
        note_with_hint(
            "no browser was found to open the page",
            "open the link above in a browser of this machine",
        );
    }
    Ok(())
}

/// Completes when standard input is closed.
fn end_of_stdin() -> Result<oneshot::Receiver<()>, Failure> {
    let (sender, receiver) = oneshot::channel();
    // A thread: standard input may be a file that cannot be waited for.
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut buffer = [0; 1_024];
        loop {
            match io::stdin().read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        // The server may have ended already.
        let _ = sender.send(());
    })?;
    Ok(receiver)
}

async fn wait_for(ended: Option<oneshot::Receiver<()>>) {
    match ended {
        // An error means that the thread has ended.
        Some(ended) => drop(ended.await),
        None => std::future::pending().await,
    }
}

async fn accept_tcp(acceptor: &Acceptor, listener: Option<&TcpListener>) {
    match listener {
        Some(listener) => acceptor.accept_tcp(listener).await,
        None => std::future::pending().await,
    }
}

async fn accept_local(acceptor: &Acceptor, listener: Option<&LocalListener>) {
    match listener {
        Some(listener) => acceptor.accept_local(listener).await,
        None => std::future::pending().await,
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
