//! Whose request this is, as far as addresses tell: pure.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;

/// How many bits of an IPv6 address tell one customer from another: everybody has a whole /64 to choose from.
const IPV6_PREFIX: u32 = 64;

/// The address that a request is counted under.
///
/// With `proxies` in front, each appends the address that it was called from to `X-Forwarded-For`, so the client's is that
/// many from the right; whatever stands further left was written by the client itself. A request with fewer came round the
/// proxies, and counts as its peer's.
pub(super) fn client(peer: Option<SocketAddr>, headers: &HeaderMap, proxies: u32) -> IpAddr {
    let forwarded = proxies.checked_sub(1).and_then(|skip| from_the_right(headers, skip));
    let address = forwarded.or(peer.map(|peer| peer.ip())).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    network(address)
}

fn from_the_right(headers: &HeaderMap, skip: u32) -> Option<IpAddr> {
    let lines: Vec<&str> =
        headers.get_all("x-forwarded-for").iter().map(|line| line.to_str().unwrap_or_default()).collect();
    let entry = lines.iter().rev().flat_map(|line| line.rsplit(',')).nth(usize::try_from(skip).ok()?)?.trim();
    entry.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (u128::BITS - IPV6_PREFIX);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn told(lines: &[&str], proxies: u32) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_str(line).unwrap());
        }
        client(Some("192.0.2.1:4000".parse().unwrap()), &headers, proxies).to_string()
    }

    #[test]
    fn nobody_can_pass_for_another_by_writing_the_header_themselves() {
        assert_eq!(told(&["203.0.113.9"], 0), "192.0.2.1", "no proxy: the header is not believed");
        assert_eq!(told(&["203.0.113.9, 198.51.100.7"], 1), "198.51.100.7", "what the proxy appended");
        assert_eq!(told(&["203.0.113.9", "198.51.100.7"], 1), "198.51.100.7", "or wrote on a line of its own");
        assert_eq!(told(&["203.0.113.9, 198.51.100.7, 10.0.0.2"], 2), "198.51.100.7", "one before the last proxy");
        assert_eq!(told(&["198.51.100.7"], 2), "192.0.2.1", "round the proxies");
        assert_eq!(told(&[], 1), "192.0.2.1");
        assert_eq!(told(&["nonsense"], 1), "192.0.2.1");
    }

    #[test]
    fn addresses_may_have_ports() {
        assert_eq!(told(&["198.51.100.7:1234"], 1), "198.51.100.7");
        assert_eq!(told(&["[2001:db8:1:2::5]:1234"], 1), "2001:db8:1:2::");
    }

    #[test]
    fn an_ipv6_customer_is_one_caller_and_a_mapped_address_is_ipv4() {
        assert_eq!(told(&["2001:db8:1:2:ffff::1"], 1), told(&["2001:db8:1:2::9"], 1));
        assert_ne!(told(&["2001:db8:1:3::1"], 1), told(&["2001:db8:1:2::9"], 1));
        assert_eq!(told(&["::ffff:198.51.100.7"], 1), "198.51.100.7");
    }
}
