//! The slots of a record: fixed offset and size, each with a format version, a length and a checksum. A slot is empty,
//! torn, unsupported (written by a newer version) or valid. Does not read or write files.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Size of the file: one block.
pub const RECORD_BYTES: usize = 4096;

/// Format version of both slots. Readers do not interpret higher versions.
pub(super) const FORMAT_VERSION: u32 = 2;

/// Magic, offset and size of a slot. These and the header layout are the same in every version.
pub(super) struct SlotPlace {
    magic: [u8; 4],
    pub(super) offset: usize,
    size: usize,
}

pub(super) const STARTED: SlotPlace = SlotPlace { magic: *b"HMST", offset: 0, size: 1536 };
pub(super) const FINISHED: SlotPlace = SlotPlace { magic: *b"HMFI", offset: 1536, size: RECORD_BYTES - 1536 };

/// Magic, format version, length, checksum: four bytes each, little-endian.
pub(super) const SLOT_HEADER: usize = 16;

/// The content of a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Slot<T> {
    /// The slot has not been written.
    #[default]
    Empty,
    /// The checksum does not match: a write was interrupted, or the data is damaged. The content is unknown.
    Torn,
    /// The slot is intact, but was written by a newer version of homing. It must not be overwritten.
    Unsupported,
    /// The slot is intact.
    Valid(T),
}

impl<T> Slot<T> {
    /// Returns the content of a valid slot.
    pub fn valid(&self) -> Option<&T> {
        match self {
            Slot::Valid(content) => Some(content),
            Slot::Empty | Slot::Torn | Slot::Unsupported => None,
        }
    }

    /// Returns the content of a valid slot by value.
    pub fn into_valid(self) -> Option<T> {
        match self {
            Slot::Valid(content) => Some(content),
            Slot::Empty | Slot::Torn | Slot::Unsupported => None,
        }
    }

    /// Whether a newer version of homing wrote it.
    pub fn is_unsupported(&self) -> bool {
        match self {
            Slot::Unsupported => true,
            Slot::Empty | Slot::Torn | Slot::Valid(_) => false,
        }
    }

    pub(super) fn is_torn(&self) -> bool {
        match self {
            Slot::Torn => true,
            Slot::Empty | Slot::Unsupported | Slot::Valid(_) => false,
        }
    }
}

/// Encodes the content of a slot; `None` if it does not fit.
pub(super) fn encode(slot: &SlotPlace, content: &impl Serialize) -> Option<Vec<u8>> {
    let payload = serde_json::to_vec(content).ok()?;
    if SLOT_HEADER + payload.len() > slot.size {
        return None;
    }
    let version = format_version().to_le_bytes();
    let length = u32::try_from(payload.len()).ok()?.to_le_bytes();
    let mut bytes = Vec::with_capacity(SLOT_HEADER + payload.len());
    bytes.extend_from_slice(&slot.magic);
    bytes.extend_from_slice(&version);
    bytes.extend_from_slice(&length);
    bytes.extend_from_slice(&checksum(&[&slot.magic, &version, &length, &payload]).to_le_bytes());
    bytes.extend_from_slice(&payload);
    Some(bytes)
}

/// Decodes one slot of a record. `bytes` is the file from its start, and may be truncated.
pub(super) fn decode_slot<T: DeserializeOwned>(slot: &SlotPlace, bytes: &[u8]) -> Slot<T> {
    let bytes = bytes.get(slot.offset..).unwrap_or_default();
    let bytes = &bytes[..bytes.len().min(slot.size)];
    if bytes.iter().take(SLOT_HEADER).all(|&byte| byte == 0) {
        return Slot::Empty;
    }
    let Some((version, payload)) = intact_payload(slot, bytes) else { return Slot::Torn };
    if version > format_version() {
        return Slot::Unsupported;
    }
    // Intact but not readable: for example an unknown kind of outcome.
    serde_json::from_slice(payload).map_or(Slot::Unsupported, Slot::Valid)
}

/// Returns the version and the payload of a slot with a valid checksum.
fn intact_payload<'a>(slot: &SlotPlace, bytes: &'a [u8]) -> Option<(u32, &'a [u8])> {
    let (header, rest) = bytes.split_at_checked(SLOT_HEADER)?;
    let word = |index: usize| -> Option<[u8; 4]> { header[4 * index..4 * index + 4].try_into().ok() };
    let (magic, version, length, sum) = (word(0)?, word(1)?, word(2)?, word(3)?);
    let payload = rest.get(..usize::try_from(u32::from_le_bytes(length)).ok()?)?;
    let is_intact =
        magic == slot.magic && checksum(&[&magic, &version, &length, payload]) == u32::from_le_bytes(sum);
    is_intact.then_some((u32::from_le_bytes(version), payload))
}

/// The version that this program writes and reads. Fault tests inject another one to simulate a newer program.
fn format_version() -> u32 {
    fail::fail_point!("record_format", |version| {
        version.and_then(|text| text.parse().ok()).unwrap_or(FORMAT_VERSION)
    });
    FORMAT_VERSION
}

pub(super) fn checksum(parts: &[&[u8]]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}
