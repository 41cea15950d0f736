//! Reads values in JSON objects by path.

use serde_json::Value;

/// The value of a key. Dots in the key descend into objects.
pub(crate) fn at<'a>(object: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(object, |value, part| value.get(part))
}
