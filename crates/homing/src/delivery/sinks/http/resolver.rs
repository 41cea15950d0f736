//! Looks up hosts as ureq's own resolver does, in a thread whose answer is waited for no longer than the request may take;
//! where no thread can be made, that is an error of the request. Ureq's own would panic.

use std::net::IpAddr;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread::Builder;

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;
use ureq::unversioned::transport::time::Duration;

/// Looks up hosts.
#[derive(Debug)]
pub(super) struct HostResolver;

impl Resolver for HostResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        // Without a timeout, ureq's resolver makes no thread.
        let untimed = NextTimeout { after: Duration::NotHappening, ..timeout };
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        if host.parse::<IpAddr>().is_ok() || timeout.after.is_not_happening() {
            return DefaultResolver::default().resolve(uri, config, untimed);
        }
        let (answer, answered) = sync_channel(1);
        let (uri, config) = (uri.clone(), config.clone());
        Builder::new().name("homing-resolve".to_owned()).spawn(move || {
            // It fails only where nobody waits any more.
            let _ = answer.send(DefaultResolver::default().resolve(&uri, &config, untimed));
        })?;
        answered.recv_timeout(*timeout.after).unwrap_or_else(|error| match error {
            RecvTimeoutError::Timeout => Err(Error::Timeout(timeout.reason)),
            RecvTimeoutError::Disconnected => Err(Error::HostNotFound),
        })
    }
}
