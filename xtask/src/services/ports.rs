//! Free ports on 127.0.0.1, and passwords that nobody can guess.

use std::io::Read;
use std::net::TcpListener;

use anyhow::{Context, Result, bail};

/// Below the range from which Linux and macOS take the ports of outgoing connections: otherwise one of those could sit
/// on a server's port between its kill and its restart.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Different ports on which nobody listens right now.
pub fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // Held until all are found, so that they differ.
    let mut held = Vec::new();
    for _ in 0..100 {
        let port = RANGE.start + u16::from_le_bytes(random()?) % (RANGE.end - RANGE.start);
        held.extend(TcpListener::bind(("127.0.0.1", port)).map(|listener| (port, listener)));
        if held.len() == N {
            let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
            return ports.try_into().ok().context("as many as were asked for");
        }
    }
    bail!("found no {N} free ports between {} and {} on 127.0.0.1 in 100 tries", RANGE.start, RANGE.end)
}

/// 32 hexadecimal digits of chance: a password, or part of a unique name.
pub fn random_hex() -> Result<String> {
    Ok(format!("{:032x}", u128::from_le_bytes(random()?)))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut source = std::fs::File::open("/dev/urandom").context("cannot open /dev/urandom")?;
    source.read_exact(&mut bytes).context("cannot read /dev/urandom")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_bound() {
        let ports: [u16; 20] = free_ports().unwrap();
        let listeners = ports.map(|port| TcpListener::bind(("127.0.0.1", port)).unwrap());
        assert!(listeners.iter().all(|listener| RANGE.contains(&listener.local_addr().unwrap().port())));
    }

    #[test]
    fn passwords_differ() {
        assert_ne!(random_hex().unwrap(), random_hex().unwrap());
        assert_eq!(random_hex().unwrap().len(), 32);
    }
}
