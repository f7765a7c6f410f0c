//! Connections that can be cut, and that know whether an answer has left.
//!
//! HTTP servers answer every request; the outside world does not. A handler cuts the line that its request came by, and
//! the next write or read of the server fails as if the network had gone. In the other direction a handler leaves a
//! receipt with the line, which is signed when everything before it has been handed to the system.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    time::sleep,
};

use crate::{lock::lock, receipt::Receipt};

/// The listening side.
pub(crate) struct Gate(pub(crate) TcpListener);

/// How to end a connection without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// As a server does that goes away: the client reads the end of the stream.
    Close = 1,
    /// As a firewall does: the client reads "connection reset by peer".
    Reset = 2,
}

/// The handler's end of a connection.
#[derive(Clone, Default)]
pub(crate) struct Line(Arc<State>);

#[derive(Default)]
struct State {
    cut: AtomicU8,
    /// Waiting for what is in the buffers to leave.
    receipts: Mutex<Vec<Receipt>>,
}

/// The server's end of a connection.
pub(crate) struct Wire {
    tcp: TcpStream,
    line: Line,
}

impl Line {
    /// Ends the connection before its next byte.
    pub(crate) fn cut(&self, how: Cut) {
        self.0.cut.store(how as u8, Ordering::Relaxed);
    }

    /// Signs the receipt when the bytes given to the server so far have left; drops it unsigned if they never do.
    pub(crate) fn leave(&self, receipt: Receipt) {
        lock(&self.0.receipts).push(receipt);
    }
}

impl Listener for Gate {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((tcp, from)) => {
                    // Failing means that the client has gone, which the server will find out by itself.
                    let _ = tcp.set_nodelay(true);
                    return (Wire { tcp, line: Line(Arc::default()) }, from);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    // Out of file descriptors, most likely: leave some time for connections to end.
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Gate>> for Line {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Self {
        stream.io().line.clone()
    }
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        let cut = self.line.0.cut.load(Ordering::Relaxed);
        if cut == 0 {
            return Ok(());
        }
        if cut == Cut::Reset as u8 {
            // Closing with a linger time of zero sends RST in place of FIN.
            let _ = self.tcp.set_zero_linger();
        }
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Drop for Wire {
    /// A handler may still hold the line; what has not left by now never will.
    fn drop(&mut self) {
        let unsigned = std::mem::take(&mut *lock(&self.line.0.receipts));
        drop(unsigned);
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    /// The server flushes when its own buffer is empty, so that everything before this has been written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let flushed = Pin::new(&mut self.tcp).poll_flush(cx);
        if let Poll::Ready(Ok(())) = flushed {
            let left = std::mem::take(&mut *lock(&self.line.0.receipts));
            left.into_iter().for_each(Receipt::sign);
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}
