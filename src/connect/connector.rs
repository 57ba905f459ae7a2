//! Hands the driver its streams.
//!
//! The driver creates its socket itself and gives no access to it, except to its TLS connector. So
//! a connector of ours takes the socket in every case (the driver is told to begin with TLS at
//! once) and returns it as a [`Wired`]: in plain text, or after the TLS request that the driver
//! would have sent and the handshake of the TLS library.

use crate::connect::wired::{Wired, silent};
use crate::connect::wiring::Wiring;
use postgres::Socket;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

/// How a client asks for TLS: eight bytes, and a number that is no version of the protocol.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xD2, 0x16, 0x2F];

/// Why there is no connection, where the driver only sees that its connector failed.
#[derive(Debug)]
pub(crate) enum Unwired {
    /// The network, or the time.
    Lost(io::Error),
    /// The server does not offer TLS.
    NotOffered,
    /// The TLS library refused.
    Refused(Box<dyn StdError + Send + Sync>),
}

impl fmt::Display for Unwired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unwired::Lost(error) => error.fmt(f),
            Unwired::NotOffered => f.write_str("server does not support TLS"),
            Unwired::Refused(error) => error.fmt(f),
        }
    }
}

impl StdError for Unwired {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Unwired::Lost(error) => error.source(),
            Unwired::NotOffered => None,
            Unwired::Refused(error) => error.source(),
        }
    }
}

/// Makes connections in plain text.
#[derive(Clone)]
pub(crate) struct Plain;

/// A socket as it is.
pub(crate) struct PlainStream(Socket);

impl AsyncRead for PlainStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for PlainStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl TlsStream for PlainStream {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<Wired<T>, Unwired>> + Send>>;

/// The connector of one try, over `library`: [`Plain`], or that of a TLS library.
#[derive(Clone)]
pub(crate) struct WiredMaker<M> {
    pub(crate) library: M,
    pub(crate) wiring: Wiring,
}

/// The connector of one address.
pub(crate) struct WiredConnect<C> {
    library: C,
    wiring: Wiring,
}

impl MakeTlsConnect<Socket> for WiredMaker<Plain> {
    type Stream = Wired<PlainStream>;
    type TlsConnect = WiredConnect<Plain>;
    type Error = Unwired;

    fn make_tls_connect(&mut self, _: &str) -> Result<WiredConnect<Plain>, Unwired> {
        let (library, wiring) = (Plain, self.wiring.clone());
        Ok(WiredConnect { library, wiring })
    }
}

impl TlsConnect<Socket> for WiredConnect<Plain> {
    type Stream = Wired<PlainStream>;
    type Error = Unwired;
    type Future = Connecting<PlainStream>;

    fn connect(self, socket: Socket) -> Connecting<PlainStream> {
        Box::pin(async move { Ok(Wired::over(PlainStream(socket), &self.wiring)) })
    }
}

/// The connector of a TLS library, for which the question for TLS is asked first, if there is to be
/// one.
#[derive(Clone)]
pub(crate) struct Encrypted<L> {
    pub(crate) library: L,
    pub(crate) asks: bool,
}

impl<L> MakeTlsConnect<Socket> for WiredMaker<Encrypted<L>>
where
    L: MakeTlsConnect<Socket>,
    L::Stream: Send + 'static,
    L::TlsConnect: Send + 'static,
    <L::TlsConnect as TlsConnect<Socket>>::Future: Send,
    <L::TlsConnect as TlsConnect<Socket>>::Error: Send,
{
    type Stream = Wired<L::Stream>;
    type TlsConnect = WiredConnect<Encrypted<L::TlsConnect>>;
    type Error = Unwired;

    fn make_tls_connect(&mut self, host: &str) -> Result<Self::TlsConnect, Unwired> {
        let library = self.library.library.make_tls_connect(host);
        let library = library.map_err(|error| Unwired::Refused(error.into()))?;
        let asks = self.library.asks;
        Ok(WiredConnect {
            library: Encrypted { library, asks },
            wiring: self.wiring.clone(),
        })
    }
}

impl<C> TlsConnect<Socket> for WiredConnect<Encrypted<C>>
where
    C: TlsConnect<Socket> + Send + 'static,
    C::Stream: Send + 'static,
    C::Future: Send,
    C::Error: Send,
{
    type Stream = Wired<C::Stream>;
    type Error = Unwired;
    type Future = Connecting<C::Stream>;

    fn connect(self, mut socket: Socket) -> Connecting<C::Stream> {
        Box::pin(async move {
            let encrypting = async {
                if self.library.asks {
                    ask(&mut socket).await?;
                }
                let encrypted = self.library.library.connect(socket).await;
                encrypted.map_err(|error| Unwired::Refused(error.into()))
            };
            match timeout(self.wiring.limit, encrypting).await {
                Ok(encrypted) => encrypted.map(|stream| Wired::over(stream, &self.wiring)),
                Err(_) => Err(Unwired::Lost(silent())),
            }
        })
    }
}

/// Asks the server for TLS, as every client does before the handshake.
async fn ask(socket: &mut Socket) -> Result<(), Unwired> {
    socket
        .write_all(&SSL_REQUEST)
        .await
        .map_err(Unwired::Lost)?;
    // No more than the answer: what came with it would be in plain text.
    match socket.read_u8().await.map_err(Unwired::Lost)? {
        b'S' => Ok(()),
        _ => Err(Unwired::NotOffered),
    }
}
