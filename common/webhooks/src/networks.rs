//! Which addresses are the Internet's. Everything else is somebody's inside.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of IPv4 that are not the Internet's (IANA's registry of special-purpose addresses), and what they are.
const INSIDE_V4: [([u8; 4], u32, &str); 16] = [
    ([0, 0, 0, 0], 8, "this network"),
    ([10, 0, 0, 0], 8, "a private network"),
    ([100, 64, 0, 0], 10, "a carrier's network"),
    ([127, 0, 0, 0], 8, "this machine"),
    // The host agent of a cloud, on an address that looks public.
    ([168, 63, 129, 16], 32, "a cloud's metadata service"),
    // With 169.254.169.254, where most clouds keep credentials.
    ([169, 254, 0, 0], 16, "a link-local network"),
    ([172, 16, 0, 0], 12, "a private network"),
    ([192, 0, 0, 0], 24, "a reserved network"),
    ([192, 0, 2, 0], 24, "a network for examples"),
    ([192, 88, 99, 0], 24, "a reserved network"),
    ([192, 168, 0, 0], 16, "a private network"),
    ([198, 18, 0, 0], 15, "a network for benchmarks"),
    ([198, 51, 100, 0], 24, "a network for examples"),
    ([203, 0, 113, 0], 24, "a network for examples"),
    ([224, 0, 0, 0], 4, "a multicast network"),
    ([240, 0, 0, 0], 4, "a reserved network"),
];

/// Networks within `2000::/3` that are not the Internet's.
const INSIDE_V6: [([u16; 4], u32, &str); 4] = [
    ([0x2001, 0, 0, 0], 23, "a reserved network"),
    ([0x2001, 0xdb8, 0, 0], 32, "a network for examples"),
    ([0x2002, 0, 0, 0], 16, "a tunnel to IPv4"),
    ([0x3fff, 0, 0, 0], 20, "a network for examples"),
];

/// What is inside about an address; `None`: it is the Internet's.
pub(crate) fn inside(address: IpAddr) -> Option<&'static str> {
    match plain(address) {
        IpAddr::V4(address) => inside_v4(address),
        IpAddr::V6(address) => inside_v6(address),
    }
}

/// An IPv4 address that is written as one of IPv6 is what it stands for.
pub(crate) fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(long) => embedded(long).map_or(address, IpAddr::V4),
    }
}

/// The IPv4 address within a mapped (`::ffff:0:0/96`), compatible (`::/96`) or translated (`64:ff9b::/96`) one.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [prefix @ .., high, low] = address.segments();
    let is_own = address.is_loopback() || address.is_unspecified();
    let carries = match prefix {
        [0, 0, 0, 0, 0, 0xffff] | [0x64, 0xff9b, 0, 0, 0, 0] => true,
        [0, 0, 0, 0, 0, 0] => !is_own,
        _ => false,
    };
    carries.then(|| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)))
}

fn inside_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let is_in = |network: [u8; 4], length: u32| (bits ^ u32::from_be_bytes(network)) >> (32 - length) == 0;
    INSIDE_V4.iter().find(|(network, length, _)| is_in(*network, *length)).map(|(.., what)| *what)
}

fn inside_v6(address: Ipv6Addr) -> Option<&'static str> {
    let [first, ..] = address.segments();
    match first {
        _ if address.is_loopback() => return Some("this machine"),
        0xfc00..=0xfdff => return Some("a private network"),
        0xfe80..=0xfebf => return Some("a link-local network"),
        0xff00..=0xffff => return Some("a multicast network"),
        // Only 2000::/3 is given to the Internet.
        0x2000..=0x3fff => {}
        _ => return Some("a reserved network"),
    }
    let bits = address.to_bits() >> 64;
    let is_in = |network: [u16; 4], length: u32| {
        let network = network.iter().fold(0_u128, |bits, segment| (bits << 16) | u128::from(*segment));
        (bits ^ network) >> (64 - length) == 0
    };
    INSIDE_V6.iter().find(|(network, length, _)| is_in(*network, *length)).map(|(.., what)| *what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_class_of_inside_addresses_is_known() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.9",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::10.0.0.1",
            "64:ff9b::192.168.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(inside(text.parse().unwrap()).is_some(), "{text}");
        }
    }

    #[test]
    fn the_internet_may_be_called() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.167.0.1",
            "11.0.0.1",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:4860::8888",
        ] {
            assert_eq!(inside(text.parse().unwrap()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_way_of_writing_it_makes_an_inside_address_public(bits: u32) {
            let short = Ipv4Addr::from_bits(bits);
            let [w, x, y, z] = short.octets();
            let (high, low) = (u16::from_be_bytes([w, x]), u16::from_be_bytes([y, z]));
            let written = [
                short.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            ];
            for long in written {
                let own = long.is_loopback() || long.is_unspecified();
                prop_assert_eq!(inside(long.into()).is_some(), inside(short.into()).is_some() || own);
            }
            let std = short.is_private() || short.is_loopback() || short.is_link_local() || short.is_multicast()
                || short.is_broadcast() || short.is_documentation() || short.is_unspecified();
            prop_assert!(!std || inside(short.into()).is_some(), "{} is inside by the standard library", short);
        }

        #[test]
        fn outside_2000_3_nothing_is_the_internets(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            let is_global = (0x2000..=0x3fff).contains(&address.segments()[0]);
            prop_assert!(is_global || embedded(address).is_some() || inside(address.into()).is_some());
        }
    }
}
