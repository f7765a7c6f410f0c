//! `evergrant healthcheck`: asks a running process whether it is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use super::unreachable;
use crate::cli::HealthcheckArgs;
use crate::config::Config;
use crate::exit::Failed;
use crate::output::Output;

/// Longer than the process itself waits for what it depends on.
const PATIENCE: Duration = Duration::from_secs(4);
const BODY_MAX: usize = 64 * 1024;

pub(super) async fn run(config: &Config, args: &HealthcheckArgs) -> Result<(), Failed> {
    let address = reachable(args.address.unwrap_or(config.listen));
    let asked = tokio::time::timeout(PATIENCE, ask(address)).await;
    let answered = asked.map_err(|_| anyhow!("{address} does not answer within {} s", PATIENCE.as_secs()));
    let (status, body) = answered.and_then(|answer| answer).map_err(unreachable)?;
    let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let people = |answer: &Value| format!("{address}: {}", answer["status"].as_str().unwrap_or("unclear"));
    Output::stdout(args.output.json).data(&answer, people)?;
    if status == StatusCode::OK {
        return Ok(());
    }
    Err(anyhow!("{address} is up and not ready: {}", answer["checks"]).into())
}

/// An address that is listened on everywhere is asked on this machine.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

async fn ask(address: SocketAddr) -> anyhow::Result<(StatusCode, Bytes)> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("nobody listens on {address}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz").header("host", address.to_string()).body(Empty::<Bytes>::new())?;
    let answer = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_MAX).collect().await;
        anyhow::Ok((status, body.map_err(|error| anyhow!("{error}"))?.to_bytes()))
    };
    tokio::select! {
        answer = answer => answer,
        ended = connection => Err(anyhow!("{address} hung up: {ended:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_means_everywhere_is_asked_here() {
        assert_eq!(reachable("0.0.0.0:8080".parse().unwrap()), "127.0.0.1:8080".parse().unwrap());
        assert_eq!(reachable("[::]:8080".parse().unwrap()), "[::1]:8080".parse().unwrap());
        assert_eq!(reachable("10.0.0.7:1".parse().unwrap()), "10.0.0.7:1".parse().unwrap());
    }
}
