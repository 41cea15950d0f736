//! Ends a wait when the runtime of another language tells that a signal has arrived.
//!
//! This is a pair of datagram sockets on the loopback address, which receive from each other only. Not a pipe: Python
//! takes the number of a descriptor for that of a socket if a socket has the same number, and then writes to that socket.
#![allow(unsafe_code, reason = "WSAEventSelect")]

use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::windows::io::{AsHandle, AsRawSocket};

use windows_sys::Win32::Networking::WinSock::{FD_READ, SOCKET, WSAEventSelect};

use super::event::Event;
use super::wait::{AsWaitSource, WaitSource};
use super::win32::raw;

/// A place that the runtime of another language writes to when a signal arrives, such as `signal.set_wakeup_fd` of Python.
/// It is ready for a wait from then until [`Wakeup::take`].
#[derive(Debug)]
pub struct Wakeup {
    reader: UdpSocket,
    writer: UdpSocket,
    /// Set when a datagram has arrived.
    arrived: Event,
}

impl Wakeup {
    /// Creates it. Nothing is written yet.
    ///
    /// # Errors
    /// If the system has no port or no memory left.
    pub fn new() -> io::Result<Wakeup> {
        let [reader, writer] = [bind()?, bind()?];
        reader.connect(writer.local_addr()?)?;
        writer.connect(reader.local_addr()?)?;
        writer.set_nonblocking(true)?;
        let arrived = Event::new()?;
        let event = raw(&arrived).addr().cast_signed();
        // From here on its reads do not wait either.
        // SAFETY: socket and event are open. The selection ends when the socket is closed, which is before the event is.
        if unsafe { WSAEventSelect(number_of(&reader), event, FD_READ.cast_signed()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Wakeup { reader, writer, arrived })
    }

    /// Returns the number that the runtime writes to: that of a descriptor, on Windows that of a socket. It is valid as long
    /// as this lives, and writes to it do not wait.
    pub fn number(&self) -> i64 {
        number_of(&self.writer) as i64
    }

    /// Takes what was written since the last call.
    pub fn take(&self) -> Vec<u8> {
        let mut taken = Vec::new();
        let mut datagram = [0; 64];
        loop {
            // Before reading: only a read makes the system set the event again.
            self.arrived.reset();
            let known = taken.len();
            // Ends with an error while nothing is written.
            while let Ok(count) = self.reader.recv(&mut datagram) {
                taken.extend_from_slice(&datagram[..count]);
            }
            // A read before the last datagram has set the event again.
            if taken.len() == known {
                return taken;
            }
        }
    }
}

fn bind() -> io::Result<UdpSocket> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
}

fn number_of(socket: &UdpSocket) -> SOCKET {
    socket.as_raw_socket() as SOCKET
}

impl AsWaitSource for Wakeup {
    fn as_wait_source(&self) -> WaitSource<'_> {
        WaitSource::from(self.arrived.as_handle())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::wait::is_ready_within;
    use super::*;

    #[test]
    fn wakeup_is_ready_from_a_write_until_it_is_taken() {
        let wakeup = Wakeup::new().expect("a wakeup");
        let is_ready = |limit| is_ready_within(wakeup.as_wait_source(), limit).expect("a wait");
        assert!(wakeup.take().is_empty());
        let pieces: [&[u8]; 2] = [&[2], &[2, 15, 2]];
        for bytes in pieces {
            assert!(!is_ready(Duration::ZERO));
            for byte in bytes {
                wakeup.writer.send(&[*byte]).expect("it is written");
            }
            assert!(is_ready(Duration::from_secs(60)));
            assert_eq!(wakeup.take(), bytes);
        }
        assert!(!is_ready(Duration::ZERO));
    }
}
