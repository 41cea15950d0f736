//! Takes a text for an agent apart: what its frames hold, and what stands outside of them.

/// A text for an agent, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Unframed {
    /// What stands outside of the frames, the sentence before each included.
    pub outside: String,
    /// What stands inside of them, one after the other.
    pub inside: String,
    /// What ends them, in their order.
    pub nonces: Vec<String>,
}

/// Takes a text apart by its frames.
///
/// # Panics
/// Unless each frame that is opened outside of a frame is closed once, and its nonce stands nowhere else.
#[track_caller]
pub fn unframe(text: &str) -> Unframed {
    let mut unframed = Unframed { outside: String::new(), inside: String::new(), nonces: Vec::new() };
    let mut end = None;
    for line in text.split_inclusive('\n') {
        match &end {
            None => match nonce(line) {
                Some(nonce) => {
                    end = Some(format!("----- END {nonce} -----\n"));
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

/// The nonce of a line that opens a frame.
fn nonce(line: &str) -> Option<&str> {
    let nonce = line.strip_prefix("----- BEGIN ")?.strip_suffix(" -----\n")?;
    (nonce.len() == 16 && nonce.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(nonce)
}
