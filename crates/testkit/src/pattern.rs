//! Output whose every byte tells its offset, so that tests recognize a part of it.

/// Returns `length` bytes from this offset of an endless text: lines of 16 bytes with the offset of each line.
pub fn pattern(from: u64, length: usize) -> Vec<u8> {
    const LINE: u64 = 16;
    let first = from / LINE;
    let lines = (length as u64).div_ceil(LINE) + 1;
    let mut text = String::new();
    for line in first..first + lines {
        text.push_str(&format!("{:015}\n", line * LINE));
    }
    let skipped = usize::try_from(from % LINE).expect("less than a line");
    text.into_bytes()[skipped..skipped + length].to_vec()
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn parts_fit_together() {
        let whole = pattern(0, 1_000);
        assert_eq!(whole.len(), 1_000);
        assert!(whole.starts_with(b"000000000000000\n000000000000016\n"));
        for (from, length) in [(0, 0), (0, 16), (15, 2), (16, 16), (33, 500), (999, 1)] {
            assert_eq!(pattern(from as u64, length), whole[from..from + length], "{from} {length}");
        }
    }
}
