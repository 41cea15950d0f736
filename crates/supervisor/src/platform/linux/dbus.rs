//! The D-Bus messages for calls to a service manager, in the wire format of the D-Bus specification ("Message
//! Protocol", "Authentication Protocol"). Written by hand, because a supervisor has one thread and forks, and D-Bus
//! libraries need an executor with threads. Does not use sockets.

/// Byte order mark of a message: the byte order of this machine.
const BYTE_ORDER: u8 = if cfg!(target_endian = "little") { b'l' } else { b'B' };

/// Maximum size of a received message, in bytes. Replies are much shorter.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// Header field codes.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Values in the wire format, each padded to its alignment.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(Vec<u8>);

impl Values {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub(super) fn u32(&mut self, value: u32) -> &mut Values {
        self.align(4);
        self.0.extend(value.to_ne_bytes());
        self
    }

    pub(super) fn bool(&mut self, value: bool) -> &mut Values {
        self.u32(u32::from(value))
    }

    /// A string or an object path. It must not contain a NUL byte.
    pub(super) fn string(&mut self, value: &str) -> &mut Values {
        self.u32(length(value.len()));
        self.0.extend(value.as_bytes());
        self.0.push(0);
        self
    }

    /// A signature. Followed by a value of this type, it is a variant.
    pub(super) fn signature(&mut self, value: &str) -> &mut Values {
        self.0.push(u8::try_from(value.len()).expect("our own signatures are short"));
        self.0.extend(value.as_bytes());
        self.0.push(0);
        self
    }

    /// Begins a structure.
    pub(super) fn structure(&mut self) -> &mut Values {
        self.align(8);
        self
    }

    /// An array of elements with this alignment.
    pub(super) fn array(&mut self, alignment: usize, elements: impl FnOnce(&mut Values)) -> &mut Values {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(alignment);
        let start = self.0.len();
        elements(self);
        let bytes = length(self.0.len() - start).to_ne_bytes();
        self.0[length_at..length_at + 4].copy_from_slice(&bytes);
        self
    }

    fn field(&mut self, code: u8, signature: &str, value: &str) {
        self.structure();
        self.0.push(code);
        self.signature(signature);
        match signature {
            "g" => self.signature(value),
            _ => self.string(value),
        };
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("our own messages are short")
}

/// A D-Bus method.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method<'a> {
    pub destination: &'a str,
    pub path: &'a str,
    pub interface: &'a str,
    pub member: &'a str,
    /// The signature of its arguments.
    pub signature: &'a str,
}

impl Method<'_> {
    /// Returns the message that calls it.
    pub(super) fn call(&self, serial: u32, arguments: &Values) -> Vec<u8> {
        let mut message = Values(vec![BYTE_ORDER, METHOD_CALL, 0, 1]);
        message.u32(length(arguments.0.len())).u32(serial);
        message.array(8, |fields| {
            fields.field(PATH, "o", self.path);
            fields.field(INTERFACE, "s", self.interface);
            fields.field(MEMBER, "s", self.member);
            fields.field(DESTINATION, "s", self.destination);
            if !self.signature.is_empty() {
                fields.field(SIGNATURE, "g", self.signature);
            }
        });
        message.align(8);
        message.0.extend(&arguments.0);
        message.0
    }
}

/// Returns the authentication of a client, pipelined with `BEGIN`: it does not wait for the server in between.
pub(super) fn greeting(uid: u32) -> Vec<u8> {
    let digits: String = uid.to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
    format!("\0AUTH EXTERNAL {digits}\r\nBEGIN\r\n").into_bytes()
}

/// A reply to a method call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub serial: u32,
    /// The name of the error, such as `org.freedesktop.DBus.Error.AccessDenied`.
    pub error: Option<String>,
}

/// The first message in the received bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// More bytes are needed.
    Incomplete,
    /// A line of the authentication, or a message that is not a reply, with its size in bytes.
    Other(usize),
    /// A reply, with its size in bytes.
    Answer(Answer, usize),
    /// Invalid data.
    Broken,
}

/// Parses the one-line answer of the server to the authentication.
pub(super) fn read_greeting(bytes: &[u8]) -> Incoming {
    match bytes.windows(2).position(|end| end == b"\r\n") {
        Some(end) if bytes.starts_with(b"OK ") => Incoming::Other(end + 2),
        Some(_) => Incoming::Broken,
        None if bytes.len() > 1024 => Incoming::Broken,
        None => Incoming::Incomplete,
    }
}

/// Parses one message.
pub(super) fn read_message(bytes: &[u8]) -> Incoming {
    let Some(fixed) = bytes.first_chunk::<16>() else { return Incoming::Incomplete };
    if fixed[0] != BYTE_ORDER || fixed[3] != 1 {
        return Incoming::Broken;
    }
    let mut reader = Reader { bytes, at: 4 };
    let (Some(body), Some(_), Some(fields)) = (reader.u32(), reader.u32(), reader.u32()) else {
        return Incoming::Broken;
    };
    let (body, fields) = (body as usize, fields as usize);
    if body > MAX_MESSAGE_BYTES || fields > MAX_MESSAGE_BYTES {
        return Incoming::Broken;
    }
    let total = (16 + fields).next_multiple_of(8) + body;
    if bytes.len() < total {
        return Incoming::Incomplete;
    }
    if !matches!(fixed[1], METHOD_RETURN | ERROR) {
        return Incoming::Other(total);
    }
    let mut reader = Reader { bytes: &bytes[..16 + fields], at: 16 };
    let mut answer = Answer { serial: 0, error: None };
    while reader.at < reader.bytes.len() {
        match reader.field() {
            Some((REPLY_SERIAL, Field::Number(serial))) => answer.serial = serial,
            Some((ERROR_NAME, Field::Text(name))) => answer.error = Some(name.to_owned()),
            Some(_) => {}
            None => return Incoming::Broken,
        }
    }
    if fixed[1] == ERROR {
        answer.error.get_or_insert_default();
    }
    Incoming::Answer(answer, total)
}

enum Field<'a> {
    Number(u32),
    Text(&'a str),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.at = self.at.next_multiple_of(4);
        self.take(4)?.try_into().ok().map(u32::from_ne_bytes)
    }

    fn text(&mut self, length: usize) -> Option<&'a str> {
        let text = self.take(length.checked_add(1)?)?;
        std::str::from_utf8(&text[..length]).ok()
    }

    fn short_text(&mut self) -> Option<&'a str> {
        let length = self.take(1)?[0].into();
        self.text(length)
    }

    /// Reads a header field. The specification defines strings, object paths, signatures and numbers.
    fn field(&mut self) -> Option<(u8, Field<'a>)> {
        self.at = self.at.next_multiple_of(8);
        let code = self.take(1)?[0];
        let value = match self.short_text()? {
            "s" | "o" => {
                let length = self.u32()? as usize;
                Field::Text(self.text(length)?)
            }
            "g" => Field::Text(self.short_text()?),
            "u" => Field::Number(self.u32()?),
            _ => return None,
        };
        Some((code, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_matches_the_specification() {
        let method = Method { destination: "a.b", path: "/", interface: "a.b", member: "C", signature: "u" };
        let mut arguments = Values::default();
        arguments.u32(7);
        let number = |value: u32| value.to_ne_bytes();
        let text = |code: u8, kind: u8, value: &[u8]| {
            let mut field = vec![code, 1, kind, 0];
            field.extend(number(u32::try_from(value.len()).expect("short")));
            field.extend(value);
            field.push(0);
            field.resize(field.len().next_multiple_of(8), 0);
            field
        };
        let mut fields =
            [text(1, b'o', b"/"), text(2, b's', b"a.b"), text(3, b's', b"C"), text(6, b's', b"a.b")];
        let fields = fields.iter_mut().flat_map(|field| field.drain(..)).collect::<Vec<u8>>();
        let fields = [fields, vec![8, 1, b'g', 0, 1, b'u', 0]].concat();
        let mut wanted = vec![BYTE_ORDER, 1, 0, 1];
        wanted.extend([number(4), number(9), number(u32::try_from(fields.len()).expect("short"))].concat());
        wanted.extend(fields);
        wanted.resize(wanted.len().next_multiple_of(8), 0);
        wanted.extend(number(7));
        assert_eq!(method.call(9, &arguments), wanted);
    }

    #[test]
    fn authentication_sends_the_uid_in_hexadecimal() {
        assert_eq!(greeting(1000), b"\0AUTH EXTERNAL 31303030\r\nBEGIN\r\n");
        assert_eq!(read_greeting(b"OK 0123456789abcdef\r\nl"), Incoming::Other(21));
        assert_eq!(read_greeting(b"OK 0123"), Incoming::Incomplete);
        assert_eq!(read_greeting(b"REJECTED EXTERNAL\r\n"), Incoming::Broken);
    }

    fn answer(kind: u8, error: Option<&str>) -> Vec<u8> {
        let mut message = Values(vec![BYTE_ORDER, kind, 1, 1]);
        message.u32(4).u32(77);
        message.array(8, |fields| {
            fields.structure().0.push(REPLY_SERIAL);
            fields.signature("u").u32(2);
            fields.field(7, "s", ":1.0");
            if let Some(name) = error {
                fields.field(ERROR_NAME, "s", name);
            }
            fields.field(SIGNATURE, "g", "u");
        });
        message.align(8);
        message.u32(5);
        message.0
    }

    #[test]
    fn replies_and_errors_are_distinguished_from_other_messages() {
        let good = answer(METHOD_RETURN, None);
        let read = read_message(&[good.as_slice(), b"more"].concat());
        assert_eq!(read, Incoming::Answer(Answer { serial: 2, error: None }, good.len()));
        let bad = answer(ERROR, Some("a.Error"));
        let wanted = Answer { serial: 2, error: Some("a.Error".to_owned()) };
        assert_eq!(read_message(&bad), Incoming::Answer(wanted, bad.len()));
        let signal = answer(4, None);
        assert_eq!(read_message(&signal), Incoming::Other(signal.len()));
    }

    #[test]
    fn arbitrary_bytes_are_parsed_without_panic() {
        let good = answer(ERROR, Some("a.Error"));
        for length in 0..good.len() {
            assert_eq!(read_message(&good[..length]), Incoming::Incomplete, "{length} bytes");
        }
        for at in 0..good.len() {
            for value in [0, 1, 7, 8, 0x7f, 0x80, 0xff] {
                let mut changed = good.clone();
                changed[at] = value;
                let _ = read_message(&changed);
            }
        }
    }
}
