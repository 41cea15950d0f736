//! Tests of the client that depend on the environment: proxies and trusted certificates. A separate process makes
//! each request.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::scripted_server::{Answer, ScriptedServer};
use super::*;

const URL_VARIABLE: &str = "HOMING_TEST_POST_TO";

#[test]
fn a_proxy_is_used_for_other_machines() {
    let proxy = ScriptedServer::start(vec![Answer::status(502, &[], b"")]);
    let address = format!("http://{}", proxy.address);
    let output = post_in("http://agent.invalid:7000/hunter2", &[("ALL_PROXY", &address)]);
    assert!(output.starts_with("Err(\"the proxy did not connect to agent.invalid:7000: "), "{output}");
    assert_eq!(proxy.next_asked().line, "CONNECT agent.invalid:7000 HTTP/1.1");
}

#[test]
fn a_proxy_is_not_used_for_this_machine() {
    let server = ScriptedServer::start(vec![Answer::status(200, &[], b"hello")]);
    let output =
        post_in(&server.url(), &[("ALL_PROXY", "http://127.0.0.1:1"), ("http_proxy", "http://127.0.0.1:1")]);
    assert!(output.starts_with("Ok(HttpAnswer { status: 200, "), "{output}");
}

#[test]
fn a_certificate_is_verified_with_the_systems_roots() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = EncryptedServer::start(folder.path()) else { return };
    let certificate = folder.path().join("certificate.pem");
    let output = post_in(&server.url, &[("SSL_CERT_FILE", certificate.to_str().unwrap())]);
    assert!(output.starts_with("Ok(HttpAnswer { status: 204, "), "{output}");
    let output = post_in(&server.url, &[]);
    assert!(output.starts_with("Err(\"TLS connection to 127.0.0.1:"), "{output}");
    assert!(output.contains("certificate") && output.contains("; SSL_CERT_FILE can name "), "{output}");
}

/// The output of a request in a process with these variables and no others about proxies and certificates.
fn post_in(url: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "delivery::sinks::http::tests::post_once", "--ignored", "--nocapture"]);
    for name in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    command.env(URL_VARIABLE, url).envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let output = text.lines().find_map(|line| line.split_once("output: "));
    output.unwrap_or_else(|| panic!("{text}")).1.to_owned()
}

#[test]
#[ignore = "posts to where the environment says: the other tests run it on their own"]
fn post_once() {
    let url = HttpUrl::parse(&std::env::var(URL_VARIABLE).unwrap()).unwrap();
    println!("output: {:?}", HttpClient::new(url, Duration::from_secs(20)).post(&[], b"{}"));
}

/// An HTTPS server that always answers 204, with a self-signed certificate.
struct EncryptedServer {
    process: Child,
    url: String,
}

const SERVER: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()
class Server(http.server.HTTPServer):
    def handle_error(self, request, address): pass
server = Server(("127.0.0.1", 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
"#;

impl EncryptedServer {
    /// Prints a line and returns `None` if the required programs are missing.
    fn start(folder: &Path) -> Option<EncryptedServer> {
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-subj", "/CN=homing test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-out".as_ref(), certificate.as_os_str(), "-keyout".as_ref(), key.as_os_str()])
            .stdin(Stdio::null())
            .output();
        if !made.is_ok_and(|output| output.status.success()) {
            println!("skipped: openssl cannot make a certificate");
            return None;
        }
        let mut python = Command::new("python3");
        python.args(["-c", SERVER]).args([certificate, key]);
        let Ok(mut process) =
            python.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        else {
            println!("skipped: python3 not found");
            return None;
        };
        let output = process.stdout.take();
        let mut server = EncryptedServer { process, url: String::new() };
        let mut port = String::new();
        BufReader::new(output.unwrap()).read_line(&mut port).unwrap();
        server.url = format!("https://127.0.0.1:{}/", port.trim());
        Some(server)
    }
}

impl Drop for EncryptedServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
