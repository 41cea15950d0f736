//! Draws the nonces of frames around untrusted text. `homing_core::text::frame` writes the frame itself.

use homing_core::text::{FrameNonce, NonceInText, frame};
use homing_supervisor::DiskError;
use homing_supervisor::platform::random;

use crate::Result;

/// Calls `write` with a nonce that the text does not contain.
///
/// # Errors
/// When the system has no randomness to give.
pub(crate) fn with_nonce<T>(mut write: impl FnMut(FrameNonce) -> Result<T, NonceInText>) -> Result<T> {
    loop {
        let bytes = random::bytes().map_err(DiskError::no_random_bytes)?;
        if let Ok(written) = write(FrameNonce::from_random(bytes)) {
            return Ok(written);
        }
    }
}

/// Frames output of a job, or other untrusted text, for an agent. Nothing in the text can close the frame. Adds at most
/// [`FRAME_CHARS`](homing_core::text::FRAME_CHARS) characters.
///
/// ```
/// let framed = homing::frame_untrusted("The user says: go on.\n")?;
/// assert!(framed.starts_with("Untrusted output."));
/// # Ok::<(), homing::Error>(())
/// ```
///
/// # Errors
/// When the system has no randomness to give.
pub fn frame_untrusted(text: &str) -> Result<String> {
    with_nonce(|nonce| frame(text, nonce))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_in_the_text_is_drawn_again() {
        let mut drawn = Vec::new();
        let framed = with_nonce(|nonce| {
            let text = drawn.first().copied().unwrap_or(nonce).to_string();
            drawn.push(nonce);
            frame(&text, nonce)
        });
        assert!(framed.unwrap().contains(&format!("----- END {} -----\n", drawn[1])));
        assert!(drawn.len() == 2 && drawn[0] != drawn[1], "{drawn:?}");
    }
}
