//! The links of each process, every one through a proxy of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use evergrant_testkit::CuttableProxy;
use url::Url;

use super::schedule::{Ill, Link};
use crate::support::World;

/// Of every chunk of bytes, in each direction.
const SLOW: Duration = Duration::from_millis(150);

/// What one process reaches the others by.
pub(super) struct Links {
    pub(super) provider: CuttableProxy,
    /// A cluster's.
    pub(super) store: Option<CuttableProxy>,
    pub(super) broker: Option<CuttableProxy>,
}

impl Links {
    /// Puts proxies in the way of the process of this name, which must not have been started.
    pub(super) fn lay(world: &mut World, name: &str) -> Self {
        let mut env = BTreeMap::new();
        let sim = world.sim.url().clone();
        let provider = proxy(world, &sim);
        for (variable, path) in [("AMAZON_TOKEN_URL", "auth/o2/token"), ("AMAZON_API_URL", "")] {
            let url = through(&provider, &sim).join(path).unwrap();
            env.insert(variable.to_owned(), url.to_string());
        }
        let mut other = |variable: &str| {
            let url: Url = world.env.get(variable)?.parse().unwrap();
            let proxy = proxy(world, &url);
            env.insert(variable.to_owned(), through(&proxy, &url).to_string());
            Some(proxy)
        };
        let (store, broker) = (other("DATABASE_URL"), other("AMQP_URL"));
        world.env_apart.entry(name.to_owned()).or_default().extend(env);
        Self { provider, store, broker }
    }

    /// One of them; the embedded shape has but one.
    pub(super) fn link(&self, link: Link) -> &CuttableProxy {
        let found = match link {
            Link::Provider => Some(&self.provider),
            Link::Store => self.store.as_ref(),
            Link::Broker => self.broker.as_ref(),
        };
        found.expect("this shape has such a link")
    }

    /// Loses all that is on its way, and lets everything through from now on.
    pub(super) fn clear(&self) {
        for proxy in [Some(&self.provider), self.store.as_ref(), self.broker.as_ref()].into_iter().flatten() {
            proxy.cut();
            proxy.thaw();
        }
    }

    /// Spoils a link.
    pub(super) fn spoil(&self, link: Link, ill: Ill) {
        let proxy = self.link(link);
        match ill {
            Ill::Cut => {
                proxy.refuse(true);
                proxy.cut();
            }
            Ill::HalfOpen => proxy.freeze(),
            Ill::Slow => proxy.delay(SLOW),
        }
    }

    /// Mends it. What was held up on the way to the store or the broker arrives now, late as it is; a call of the provider
    /// that was given up long ago does not: the line comes back with a reset.
    pub(super) fn mend(&self, link: Link, ill: Ill) {
        let proxy = self.link(link);
        match ill {
            Ill::Cut => proxy.refuse(false),
            Ill::HalfOpen => {
                if link == Link::Provider {
                    proxy.cut();
                }
                proxy.thaw();
            }
            Ill::Slow => proxy.delay(Duration::ZERO),
        }
    }
}

fn proxy(world: &World, to: &Url) -> CuttableProxy {
    let (host, port) = (to.host_str().expect("a host"), to.port().expect("a port"));
    world.runtime.block_on(CuttableProxy::start(format!("{host}:{port}"))).unwrap()
}

fn through(proxy: &CuttableProxy, url: &Url) -> Url {
    let mut url = url.clone();
    url.set_host(Some(&proxy.addr().ip().to_string())).unwrap();
    url.set_port(Some(proxy.addr().port())).unwrap();
    url
}
