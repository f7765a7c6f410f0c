//! The listener.

use std::net::SocketAddr;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {cause} (set EVERGRANT_LISTEN to another address)")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The listener broke.
    #[error("the listener broke: {0}")]
    Serve(std::io::Error),
}

/// A listener that is bound and not yet served, so that a taken port is told before anything else starts.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address; port 0 takes any free one.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let listening = async {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        listening.await.map_err(|cause| ServeError::Listen { address, cause })
    }

    /// The address that is bound.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then finishes the requests in hand.
    pub async fn run(self, routes: Router, stop: CancellationToken) -> Result<(), ServeError> {
        info!(address = %self.address, "API listening");
        axum::serve(self.listener, routes)
            .with_graceful_shutdown(stop.cancelled_owned())
            .await
            .map_err(ServeError::Serve)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_told_with_what_to_do() {
        let first = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = Server::bind(first.address()).await.err().unwrap().to_string();
        assert!(error.contains("EVERGRANT_LISTEN"), "{error}");
    }
}
