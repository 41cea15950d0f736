//! The webhook sink: posts each wake to a URL of the operator, signed as the Standard Webhooks specification requires
//! (<https://www.standardwebhooks.com>).

mod body;
#[cfg(test)]
mod receiver_example;
mod signature;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use homing_core::{Delivery, Wake};
use homing_supervisor::crash_point;

use super::Sink;
use super::http::HttpClient;
use super::secret_file::{read_secret_file, refuse_secret};
use crate::config::HttpUrl;
use crate::config::WebhookConfig;
use crate::{Error, Result};

use body::event_body;
use signature::Signer;

/// Posts each wake to a URL.
pub(super) struct WebhookSink {
    client: HttpClient,
    /// `None` if requests are not signed.
    signer: Option<Signer>,
}

impl WebhookSink {
    /// Reads the secrets, once. `timeout` bounds one attempt.
    ///
    /// # Errors
    /// [`Error::InvalidRequest`] if the URL is invalid, [`Error::SecretRefused`] if the file of secrets cannot be
    /// used.
    pub(super) fn new(config: &WebhookConfig, timeout: Duration) -> Result<WebhookSink> {
        let url = HttpUrl::parse(&config.url)
            .map_err(|reason| Error::InvalidRequest(format!("webhook: {reason}")))?;
        let signer = match &config.secret_file {
            None => None,
            Some(path) => {
                let secrets = read_secret_file(path)?;
                Some(Signer::from_secrets(&secrets).map_err(|reason| refuse_secret(path, reason))?)
            }
        };
        Ok(WebhookSink { client: HttpClient::new(url, timeout), signer })
    }
}

impl Sink for WebhookSink {
    fn deliver(&self, wake: &Wake) -> Delivery {
        let body = event_body(wake);
        let id = wake.id.to_string();
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let seconds = timestamp.to_string();
        let signature = self.signer.as_ref().map(|signer| signer.sign(&id, timestamp, body.as_bytes()));
        let mut headers =
            vec![("content-type", "application/json"), ("webhook-id", &id), ("webhook-timestamp", &seconds)];
        if let Some(signature) = &signature {
            headers.push(("webhook-signature", signature));
        }
        match self.client.post(&headers, body.as_bytes()) {
            Ok(answer) => {
                crash_point("sink/answered");
                answer.into_delivery()
            }
            Err(error) => Delivery::Failed { error },
        }
    }
}
