//! Where messages may be sent: the guard against receivers that point inside.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use crate::networks::{inside, plain};

/// Why something may not be called. Tells people what to do, and no secret of a URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is no URL.
    #[error("it is not a URL: write https://receiver.example/path")]
    NoUrl,
    /// The scheme is none that may be used.
    #[error("`{0}` is not allowed: write https://... (`webhooks.allow_http` allows http, for development)")]
    Scheme(String),
    /// It has a user name or a password.
    #[error("it has a user name or a password in it: take them out, the signature is what receivers should check")]
    Credentials,
    /// The address is somebody's inside.
    #[error("{0} belongs to {1}, which webhooks must not reach; `webhooks.allow_networks` allows networks of your own")]
    Inside(IpAddr, &'static str),
    /// It is too long.
    #[error("it is longer than 2000 bytes")]
    TooLong,
}

/// What may be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Plain http may be used: for development.
    pub allow_http: bool,
    /// Networks that may be called although they are not the Internet's.
    pub allow_networks: Vec<IpNet>,
}

impl Rules {
    /// The URL, if messages may be sent there as far as can be told from it. A name is judged when it is resolved.
    pub fn url(&self, text: &str) -> Result<Url, Refusal> {
        if text.len() > 2000 {
            return Err(Refusal::TooLong);
        }
        let url = Url::parse(text).map_err(|_| Refusal::NoUrl)?;
        if !(url.scheme() == "https" || (url.scheme() == "http" && self.allow_http)) {
            return Err(Refusal::Scheme(url.scheme().to_owned()));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Credentials);
        }
        // A host that is an address is never resolved: it is judged here. The parser has read every way of writing one.
        match url.host() {
            None => Err(Refusal::NoUrl),
            Some(Host::Domain(_)) => Ok(()),
            Some(Host::Ipv4(address)) => self.address(address.into()),
            Some(Host::Ipv6(address)) => self.address(address.into()),
        }?;
        Ok(url)
    }

    /// Whether this address may be called.
    pub fn address(&self, address: IpAddr) -> Result<(), Refusal> {
        let is_allowed = |network: &IpNet| network.contains(&address) || network.contains(&plain(address));
        match inside(address) {
            Some(what) if !self.allow_networks.iter().any(is_allowed) => Err(Refusal::Inside(plain(address), what)),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_must_not_be_called_are_refused() {
        let rules = Rules::default();
        for (url, refusal) in [
            ("nonsense", Refusal::NoUrl),
            ("http://receiver.example/", Refusal::Scheme("http".to_owned())),
            ("ftp://receiver.example/", Refusal::Scheme("ftp".to_owned())),
            ("https://user:secret@receiver.example/", Refusal::Credentials),
            ("https://token@receiver.example/", Refusal::Credentials),
        ] {
            assert_eq!(rules.url(url), Err(refusal), "{url}");
        }
        // Each is another way to write an address inside.
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://[fd00:ec2::254]/",
            "https://①②⑦.0.0.1/",
        ] {
            assert!(matches!(rules.url(url), Err(Refusal::Inside(..))), "{url}: {:?}", rules.url(url));
        }
        assert!(rules.url("https://receiver.example/hook?x=1").is_ok());
        assert!(rules.url("https://1.1.1.1:8443/").is_ok());
    }

    #[test]
    fn a_network_of_ones_own_can_be_allowed() {
        let rules = Rules { allow_http: true, allow_networks: vec!["10.1.0.0/16".parse().unwrap()] };
        assert!(rules.url("http://10.1.2.3:8080/").is_ok());
        assert!(rules.address("::ffff:10.1.2.3".parse().unwrap()).is_ok());
        assert!(rules.address("10.2.0.1".parse().unwrap()).is_err());
    }

    #[test]
    fn a_refusal_tells_no_secret() {
        let refused = Rules::default().url("https://user:hunter2@receiver.example/").unwrap_err();
        assert!(!refused.to_string().contains("hunter2"));
    }
}
