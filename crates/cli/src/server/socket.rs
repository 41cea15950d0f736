//! The socket of a connection, which its replies share with the task that serves it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

#[cfg(feature = "serve")]
use homing_supervisor::platform::local_socket::LocalStream;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A socket. Clones are handles of the same connection, which closes when the last one is dropped.
#[derive(Clone)]
pub(crate) struct Socket(Arc<Kind>);

/// How the client is connected.
enum Kind {
    Tcp(TcpStream),
    /// By a socket of this user.
    #[cfg(feature = "serve")]
    Local(LocalStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Socket {
        Socket(Arc::new(Kind::Tcp(stream)))
    }
}

#[cfg(feature = "serve")]
impl From<LocalStream> for Socket {
    fn from(stream: LocalStream) -> Socket {
        Socket(Arc::new(Kind::Local(stream)))
    }
}

impl Socket {
    /// Whether the client has closed the connection, so that it reads nothing that is sent from now on. Asks the system: the
    /// runtime looks at its sockets only between tasks.
    pub(crate) fn client_has_left(&self) -> bool {
        let peeked = match &*self.0 {
            Kind::Tcp(stream) => SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]),
            #[cfg(feature = "serve")]
            Kind::Local(stream) => stream.peek(),
        };
        match peeked {
            Ok(bytes) => bytes == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        }
    }

    fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.0 {
            Kind::Tcp(stream) => stream.poll_read_ready(context),
            #[cfg(feature = "serve")]
            Kind::Local(stream) => stream.poll_read_ready(context),
        }
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &*self.0 {
            Kind::Tcp(stream) => stream.try_read(buffer),
            #[cfg(feature = "serve")]
            Kind::Local(stream) => stream.try_read(buffer),
        }
    }

    fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.0 {
            Kind::Tcp(stream) => stream.poll_write_ready(context),
            #[cfg(feature = "serve")]
            Kind::Local(stream) => stream.poll_write_ready(context),
        }
    }

    fn try_write(&self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match &*self.0 {
            Kind::Tcp(stream) => stream.try_write_vectored(parts),
            #[cfg(feature = "serve")]
            Kind::Local(stream) => stream.try_write_vectored(parts),
        }
    }

    /// Repeats a write until the socket accepts it or fails.
    fn poll_until_written(
        &self,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_write_ready(context))?;
            match self.try_write(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_read_ready(context))?;
            match self.try_read(buffer.initialize_unfilled()) {
                Ok(bytes) => {
                    buffer.advance(bytes);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_until_written(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_until_written(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has no buffer of its own in this process.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match &*self.0 {
            Kind::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            #[cfg(feature = "serve")]
            Kind::Local(stream) => stream.shutdown_write(),
        })
    }
}
