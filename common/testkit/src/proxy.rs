//! A TCP proxy that can be cut, frozen and slowed, to stand between a process and its database or broker.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A TCP proxy to one upstream. What the test says holds for connections that stand and for those to come.
pub struct CuttableProxy {
    addr: SocketAddr,
    weather: watch::Sender<Weather>,
    /// Ends with the proxy, and every connection with it.
    listening: JoinHandle<()>,
}

/// The way that bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    /// Connections of an older season are cut.
    season: u64,
    up: Lane,
    down: Lane,
    refusing: bool,
    delay: Duration,
    connections: usize,
}

/// One way through the proxy.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    held: bool,
    /// Chunks of bytes that wait for the thaw.
    waiting: usize,
}

impl Weather {
    const fn lane(&self, way: Way) -> &Lane {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }

    const fn lane_mut(&mut self, way: Way) -> &mut Lane {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

impl CuttableProxy {
    /// Listens on a free local port and forwards to `upstream`, a `host:port`.
    pub async fn start(upstream: impl Into<String>) -> io::Result<Self> {
        let (listener, upstream) = (TcpListener::bind(("127.0.0.1", 0)).await?, upstream.into());
        let weather = watch::Sender::default();
        let addr = listener.local_addr()?;
        let listening = tokio::spawn(listen(listener, upstream, weather.clone()));
        Ok(Self { addr, weather, listening })
    }

    /// Where to connect instead of the upstream.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Resets every connection that stands. New ones are let through.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.season += 1);
    }

    /// Stops every byte, in both directions, and keeps the connections: what a dead route looks like.
    pub fn freeze(&self) {
        self.hold(Way::Up);
        self.hold(Way::Down);
    }

    /// Stops every byte that goes this way, and keeps the connections.
    pub fn hold(&self, way: Way) {
        self.weather.send_modify(|weather| weather.lane_mut(way).held = true);
    }

    /// Whether anything that goes this way is being held up.
    pub fn is_holding(&self, way: Way) -> bool {
        self.weather.borrow().lane(way).waiting > 0
    }

    /// Lets bytes through again, those that waited first.
    pub fn thaw(&self) {
        self.weather.send_modify(|weather| (weather.up.held, weather.down.held) = (false, false));
    }

    /// Resets new connections as soon as they are made, or lets them through again.
    pub fn refuse(&self, refusing: bool) {
        self.weather.send_modify(|weather| weather.refusing = refusing);
    }

    /// Holds every chunk of bytes up for so long, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.weather.send_modify(|weather| weather.delay = delay);
    }

    /// How many connections stand.
    pub fn connections(&self) -> usize {
        self.weather.borrow().connections
    }

    /// Returns when at least so many connections stand. Fails the test if that takes too long.
    pub async fn until_connected(&self, connections: usize) {
        let mut weather = self.weather.subscribe();
        let enough = weather.wait_for(|weather| weather.connections >= connections);
        let _ = crate::conformance::soon("a connection through the proxy", enough).await;
    }
}

impl Drop for CuttableProxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn listen(listener: TcpListener, upstream: String, weather: watch::Sender<Weather>) {
    while let Ok((client, _)) = listener.accept().await {
        if weather.borrow().refusing {
            let _ = client.set_zero_linger();
            continue;
        }
        tokio::spawn(forward(client, upstream.clone(), weather.clone()));
    }
}

/// A connection that stands; it is counted until it ends.
struct Standing(watch::Sender<Weather>);

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.send_modify(|weather| weather.connections -= 1);
    }
}

/// A chunk that waits; it is counted until it goes on, or its connection ends.
struct Waiting<'a>(&'a watch::Sender<Weather>, Way);

impl<'a> Waiting<'a> {
    fn new(weather: &'a watch::Sender<Weather>, way: Way) -> Self {
        weather.send_modify(|weather| weather.lane_mut(way).waiting += 1);
        Self(weather, way)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|weather| weather.lane_mut(self.1).waiting -= 1);
    }
}

async fn forward(mut client: TcpStream, upstream: String, weather: watch::Sender<Weather>) {
    let season = weather.borrow().season;
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        let _ = client.set_zero_linger();
        return;
    };
    weather.send_modify(|weather| weather.connections += 1);
    let _counted = Standing(weather.clone());
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let mut next_season = weather.subscribe();
    let is_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pump(from_client, to_server, &weather, Way::Up);
        let down = pump(from_server, to_client, &weather, Way::Down);
        // What is waited for is let go of inside: it is a lock, and the ends of both pumps count what they held up.
        let cut = async { drop(next_season.wait_for(|weather| weather.season != season).await) };
        tokio::select! {
            () = cut => true,
            ended = async { tokio::try_join!(up, down) } => ended.is_err(),
        }
    };
    if is_cut {
        // Without lingering, closing is a reset.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// Carries bytes one way, as the weather permits, until the end of the stream.
async fn pump(
    mut from: tcp::ReadHalf<'_>,
    mut to: tcp::WriteHalf<'_>,
    weather: &watch::Sender<Weather>,
    way: Way,
) -> io::Result<()> {
    let mut thaw = weather.subscribe();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        let length = from.read(&mut chunk).await?;
        let delay = weather.borrow().delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if weather.borrow().lane(way).held {
            let _counted = Waiting::new(weather, way);
            // The sender is kept by the connection itself, so this ends with the thaw or with the connection.
            let _ = thaw.wait_for(|weather| !weather.lane(way).held).await;
        }
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..length]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{eventually, soon};

    /// A server that sends back whatever comes.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = io::copy(&mut from, &mut to).await;
                });
            }
        });
        addr
    }

    async fn proxied() -> (CuttableProxy, TcpStream) {
        let proxy = CuttableProxy::start(echo().await.to_string()).await.unwrap();
        let stream = TcpStream::connect(proxy.addr()).await.unwrap();
        (proxy, stream)
    }

    async fn say(stream: &mut TcpStream, word: &[u8]) -> io::Result<Vec<u8>> {
        stream.write_all(word).await?;
        let mut heard = vec![0; word.len()];
        soon("an echo", stream.read_exact(&mut heard)).await?;
        Ok(heard)
    }

    #[tokio::test]
    async fn bytes_come_through_and_so_does_the_end() {
        let (proxy, mut stream) = proxied().await;
        assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
        assert_eq!(proxy.connections(), 1);
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        soon("the end", stream.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
        eventually("the end of the connection", async || (proxy.connections() == 0).then_some(())).await;
    }

    #[tokio::test]
    async fn a_cut_resets_what_stands_and_lets_new_ones_through() {
        let (proxy, mut stream) = proxied().await;
        say(&mut stream, b"hello").await.unwrap();
        proxy.cut();
        let error = soon("the reset", stream.read_u8()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let mut next = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(say(&mut next, b"again").await.unwrap(), b"again");
    }

    #[tokio::test]
    async fn a_frozen_connection_stands_and_goes_on_after_the_thaw() {
        let (proxy, mut stream) = proxied().await;
        say(&mut stream, b"hello").await.unwrap();
        proxy.freeze();
        stream.write_all(b"wait").await.unwrap();
        let silence = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
        assert!(silence.is_err(), "no byte comes through, and no error either");
        assert_eq!(proxy.connections(), 1);
        proxy.thaw();
        let mut heard = [0; 4];
        soon("the bytes that waited", stream.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"wait");
    }

    #[tokio::test]
    async fn a_frozen_connection_can_be_cut() {
        let (proxy, mut stream) = proxied().await;
        say(&mut stream, b"hello").await.unwrap();
        proxy.freeze();
        stream.write_all(b"wait").await.unwrap();
        proxy.cut();
        assert!(soon("the reset", stream.read_u8()).await.is_err());
    }

    #[tokio::test]
    async fn one_way_is_held_and_what_waits_there_is_known() {
        let (proxy, mut stream) = proxied().await;
        say(&mut stream, b"hello").await.unwrap();
        proxy.hold(Way::Down);
        stream.write_all(b"wait").await.unwrap();
        eventually("an echo that waits", async || proxy.is_holding(Way::Down).then_some(())).await;
        assert!(!proxy.is_holding(Way::Up), "what the client says has come through");
        proxy.thaw();
        let mut heard = [0; 4];
        soon("the echo that waited", stream.read_exact(&mut heard)).await.unwrap();
        assert_eq!(&heard, b"wait");
        assert!(!proxy.is_holding(Way::Down));
        proxy.hold(Way::Up);
        stream.write_all(b"lost").await.unwrap();
        eventually("words that wait", async || proxy.is_holding(Way::Up).then_some(())).await;
        proxy.cut();
        eventually("nothing to wait any more", async || (!proxy.is_holding(Way::Up)).then_some(())).await;
    }

    #[tokio::test]
    async fn refused_connections_come_to_nothing() {
        let (proxy, mut stands) = proxied().await;
        say(&mut stands, b"hello").await.unwrap();
        proxy.refuse(true);
        if let Ok(mut refused) = TcpStream::connect(proxy.addr()).await {
            assert!(say(&mut refused, b"hello").await.is_err());
        }
        assert_eq!(say(&mut stands, b"still here").await.unwrap(), b"still here");
        proxy.refuse(false);
        let mut next = TcpStream::connect(proxy.addr()).await.unwrap();
        assert_eq!(say(&mut next, b"again").await.unwrap(), b"again");
    }

    #[tokio::test]
    async fn a_delay_is_kept_in_each_direction() {
        let (proxy, mut stream) = proxied().await;
        say(&mut stream, b"hello").await.unwrap();
        let delay = Duration::from_millis(40);
        proxy.delay(delay);
        let before = std::time::Instant::now();
        say(&mut stream, b"slow").await.unwrap();
        assert!(before.elapsed() >= 2 * delay);
    }
}
