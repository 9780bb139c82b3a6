//! Connections that can be torn off, or made to drip.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

/// What a fault does to the connection of its request.
#[derive(Clone, Debug, Default)]
pub struct Hand(Arc<Grip>);

#[derive(Debug, Default)]
struct Grip {
    cut: AtomicBool,
    /// Milliseconds between two bytes of an answer; 0 for at once.
    drip: AtomicU64,
    /// Bytes after which the connection is cut, plus one; 0 for none.
    stop_after: AtomicU64,
}

impl Hand {
    /// A new request on the same connection begins as if nothing had been.
    pub fn steady(&self) {
        self.0.drip.store(0, Ordering::SeqCst);
    }

    /// The peer gets a reset instead of an answer.
    pub fn cut(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
    }

    /// Everything from here on is written byte by byte.
    pub fn drip(&self, between: Duration) {
        let millis = u64::try_from(between.as_millis()).unwrap_or(u64::MAX);
        self.0.drip.store(millis.max(1), Ordering::SeqCst);
    }

    /// The connection is reset after so many more bytes of the answer, its head included.
    pub fn cut_after(&self, bytes: u64) {
        self.0
            .stop_after
            .store(bytes.saturating_add(1), Ordering::SeqCst);
    }
}

/// Takes connections in.
pub struct Door(pub TcpListener);

impl Listener for Door {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok((stream, peer)) => {
                    let _ = stream.set_nodelay(true);
                    let wire = Wire {
                        stream,
                        hand: Hand::default(),
                        pause: None,
                    };
                    return (wire, peer);
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Hand {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().hand.clone()
    }
}

/// One connection.
pub struct Wire {
    stream: TcpStream,
    hand: Hand,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Wire {
    fn reset<T>(&self) -> Poll<std::io::Result<T>> {
        // Closing with data left would also do; this makes it a reset whatever was read.
        let _ = self.stream.set_zero_linger();
        Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let wire = self.get_mut();
        if wire.hand.0.cut.load(Ordering::SeqCst) {
            return wire.reset();
        }
        Pin::new(&mut wire.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let wire = self.get_mut();
        let grip = wire.hand.0.clone();
        if grip.cut.load(Ordering::SeqCst) {
            return wire.reset();
        }
        let drip = grip.drip.load(Ordering::SeqCst);
        let limit = grip.stop_after.load(Ordering::SeqCst);
        if limit == 1 {
            return wire.reset();
        }
        let mut take = bytes.len();
        if limit > 1 {
            take = take.min(usize::try_from(limit - 1).unwrap_or(usize::MAX));
        }
        if drip == 0 {
            wire.pause = None;
        } else {
            if let Some(pause) = &mut wire.pause {
                ready!(pause.as_mut().poll(context));
            }
            take = take.min(1);
            wire.pause = Some(Box::pin(tokio::time::sleep(Duration::from_millis(drip))));
        }
        let written = ready!(Pin::new(&mut wire.stream).poll_write(context, &bytes[..take]))?;
        if limit > 1 {
            grip.stop_after
                .store(limit - written as u64, Ordering::SeqCst);
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let wire = self.get_mut();
        if wire.hand.0.cut.load(Ordering::SeqCst) {
            return wire.reset();
        }
        Pin::new(&mut wire.stream).poll_shutdown(context)
    }
}
