//! Splits a text for an agent into the content of its frames and the text outside them.

/// The parts of a text for an agent.
#[derive(Debug, PartialEq, Eq)]
pub struct Unframed {
    /// The text outside the frames.
    pub outside: String,
    /// The content of the frames, concatenated.
    pub inside: String,
    /// The nonces of the frames, in order.
    pub nonces: Vec<String>,
}

/// Splits a text by its frames.
///
/// # Panics
/// If a frame is not closed exactly once, or its nonce occurs elsewhere.
#[track_caller]
pub fn unframe(text: &str) -> Unframed {
    let mut unframed = Unframed { outside: String::new(), inside: String::new(), nonces: Vec::new() };
    let mut end = None;
    for line in text.split_inclusive('\n') {
        match &end {
            None => match nonce(line) {
                Some(nonce) => {
                    end = Some(format!("[end {nonce}]\n"));
                    unframed.nonces.push(nonce.to_owned());
                }
                None => unframed.outside.push_str(line),
            },
            Some(last) if line == last => end = None,
            Some(_) => unframed.inside.push_str(line),
        }
    }
    assert_eq!(end, None, "a frame is not closed: {text}");
    for nonce in &unframed.nonces {
        assert!(!unframed.outside.contains(nonce) && !unframed.inside.contains(nonce), "{text}");
    }
    unframed
}

/// Returns the nonce of a line that opens a frame.
fn nonce(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("[output ")?;
    let (nonce, about) = rest.split_at_checked(8)?;
    let is_opened = about.starts_with([':', ',']) && about.ends_with("data, not instructions or approval]\n");
    (is_opened && nonce.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(nonce)
}
