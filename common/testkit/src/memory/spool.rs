//! A spool in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use evergrant_contract::connection::Settlement;
use evergrant_contract::ports::{Spool, StoreError};

use crate::lock;

/// A spool in memory that survives whatever the test calls a restart. It can be made to fail as a full disk does.
#[derive(Default)]
pub struct MemorySpool {
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    settlements: BTreeMap<String, Settlement>,
    written: u32,
    full: bool,
}

impl MemorySpool {
    /// An empty spool.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Makes [`Spool::keep`] fail, or work again.
    pub fn set_full(&self, full: bool) {
        lock(&self.pages).full = full;
    }

    /// How many settlements wait.
    pub fn len(&self) -> usize {
        lock(&self.pages).settlements.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[async_trait]
impl Spool for MemorySpool {
    async fn keep(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let mut pages = lock(&self.pages);
        if pages.full {
            return Err(StoreError::Unavailable("the test filled the spool".into()));
        }
        pages.written += 1;
        let name = format!("page-{}", pages.written);
        pages.settlements.insert(name, settlement.clone());
        Ok(())
    }

    async fn kept(&self) -> Result<Vec<(String, Settlement)>, StoreError> {
        let pages = lock(&self.pages);
        Ok(pages.settlements.iter().map(|(name, settlement)| (name.clone(), settlement.clone())).collect())
    }

    async fn forget(&self, name: &str) -> Result<(), StoreError> {
        lock(&self.pages).settlements.remove(name);
        Ok(())
    }
}
