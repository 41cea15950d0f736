//! Signatures of the Standard Webhooks specification: HMAC-SHA256 over id, time and body, one for each secret.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// The prefix of a secret.
const PREFIX: &str = "whsec_";

/// Maximum number of secrets. During a key rotation there are two.
const MAX_SECRETS: usize = 8;

/// Signs with every secret of a file, so that a receiver may know the old or the new one.
pub(super) struct Signer {
    keys: Vec<hmac::Key>,
}

impl Signer {
    /// Reads secrets, one a line: `whsec_` and the base64 of 24 to 64 bytes. Empty lines and lines that begin with
    /// `#` are skipped.
    ///
    /// # Errors
    /// The invalid line and the reason, without the secret itself.
    pub(super) fn from_secrets(text: &str) -> Result<Signer, String> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().map(str::trim).enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = decode_secret(line).map_err(|reason| format!("line {}: {reason}", index + 1))?;
            keys.push(hmac::Key::new(hmac::HMAC_SHA256, &key));
        }
        match keys.len() {
            0 => Err(format!("it holds no secret; a secret is {PREFIX} and the base64 of 24 to 64 bytes")),
            1..=MAX_SECRETS => Ok(Signer { keys }),
            many => Err(format!("it holds {many} secrets; the maximum is {MAX_SECRETS}")),
        }
    }

    /// The value of the header `webhook-signature`. `timestamp` is in seconds since 1970.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let signatures: Vec<String> = self
            .keys
            .iter()
            .map(|key| {
                let mut context = hmac::Context::with_key(key);
                context.update(format!("{id}.{timestamp}.").as_bytes());
                context.update(body);
                format!("v1,{}", STANDARD.encode(context.sign()))
            })
            .collect();
        signatures.join(" ")
    }
}

fn decode_secret(line: &str) -> Result<Vec<u8>, String> {
    let encoded = line.strip_prefix(PREFIX).ok_or_else(|| format!("a secret begins with {PREFIX}"))?;
    // The decoder's error would show a part of the secret.
    let key = STANDARD.decode(encoded).map_err(|_| format!("what follows {PREFIX} is not base64"))?;
    match key.len() {
        24..=64 => Ok(key),
        length => Err(format!("a secret must have 24 to 64 bytes; this one has {length}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's libraries.
    #[test]
    fn the_specifications_example_has_the_expected_signature() {
        let signer = Signer::from_secrets("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\n").unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            signer.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
    }

    #[test]
    fn every_secret_of_the_file_signs() {
        let secrets = [secret(&[1; 24]), "# the new one".to_owned(), String::new(), secret(&[2; 64])];
        let signature = Signer::from_secrets(&secrets.join("\r\n")).unwrap().sign("w_1", 7, b"{}");
        let expected: Vec<String> = [&secrets[0], &secrets[3]]
            .map(|secret| standardwebhooks::Webhook::new(secret).unwrap().sign("w_1", 7, b"{}").unwrap())
            .into();
        assert_eq!(signature, expected.join(" "));
    }

    #[test]
    fn invalid_secrets_are_refused_without_repeating_them() {
        let good = secret(&[3; 32]);
        for (text, reason) in [
            (String::new(), "no secret"),
            ("# whsec_\n\n".to_owned(), "no secret"),
            ("hunter2".to_owned(), "line 1: a secret begins with whsec_"),
            (format!("{good}\nwhsec_hunter2!"), "line 2: what follows whsec_ is not base64"),
            (secret(&[3; 23]), "24 to 64 bytes; this one has 23"),
            (secret(&[3; 65]), "24 to 64 bytes; this one has 65"),
            (format!("{good}\n").repeat(9), "9 secrets"),
        ] {
            let error = Signer::from_secrets(&text).err().unwrap_or_default();
            assert!(error.contains(reason) && !error.contains("hunter2"), "{text:?}: {error}");
            assert!(!error.contains(&good[6..]), "{error}");
        }
    }

    fn secret(key: &[u8]) -> String {
        format!("whsec_{}", STANDARD.encode(key))
    }
}
