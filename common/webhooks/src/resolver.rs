//! Names are resolved by us, and judged as they are resolved: what the client connects to is what was judged.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::rules::Rules;

/// Finds the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// Every address.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// As the system does it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// Gives the HTTP client addresses that may be called, and no others.
pub(crate) struct Guarded {
    pub(crate) rules: Rules,
    pub(crate) lookup: Arc<dyn Lookup>,
}

impl Guarded {
    async fn addresses(rules: Rules, lookup: Arc<dyn Lookup>, name: String) -> io::Result<Vec<SocketAddr>> {
        let found = lookup.lookup(&name).await?;
        // One address inside is enough: an honest receiver has none.
        for address in &found {
            rules.address(*address).map_err(|refusal| io::Error::new(io::ErrorKind::PermissionDenied, refusal))?;
        }
        Ok(found.into_iter().map(|address| SocketAddr::new(address, 0)).collect())
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, lookup) = (self.rules.clone(), Arc::clone(&self.lookup));
        Box::pin(async move {
            let addresses = Self::addresses(rules, lookup, name.as_str().to_owned()).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
