//! What operators do with receivers, for the API and the command line alike. Each act leaves its line in the audit log.

use std::sync::Arc;
use std::time::Duration;

use evergrant_contract::Timestamp;
use evergrant_contract::ids::{AuditId, EndpointId, MessageId};
use evergrant_contract::operations::{Action, AuditEntry};
use evergrant_contract::ports::{Clock, Store, StoreError};
use evergrant_contract::secret::Secret;
use evergrant_contract::timing::after;
use evergrant_contract::webhook::{Endpoint, EndpointChange, EndpointState, Message, MessageKind};

use crate::rules::Refusal;
use crate::secret::new_secret;
use crate::sender::{Answered, Sender};

/// How long the secret before the present one signs beside it.
const OVERLAP: Duration = Duration::from_hours(24);
/// The longest description, in characters.
const DESCRIPTION_MAX: usize = 200;

/// Who does something, and why.
#[derive(Debug, Clone)]
pub struct By {
    /// As the audit log tells it.
    pub actor: String,
    /// In their own words; may be empty.
    pub reason: String,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// There is no such endpoint.
    #[error("there is no such webhook endpoint")]
    NoEndpoint,
    /// There is no such message for this endpoint.
    #[error("this endpoint has no such delivery")]
    NoDelivery,
    /// The endpoint is disabled.
    #[error("the endpoint is disabled: enable it first")]
    Disabled,
    /// The URL must not be called.
    #[error("the URL is refused: {0}")]
    Url(#[from] Refusal),
    /// The description is too long, or has control characters in it.
    #[error("the description must be one line of at most 200 characters")]
    Description,
    /// A kind of message that does not happen by itself.
    #[error("`webhook.test` is sent when you ask for it, and cannot be chosen")]
    Kind,
    /// The store did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A receiver to be made.
#[derive(Debug, Clone, Default)]
pub struct NewEndpoint {
    /// Where messages are sent to.
    pub url: String,
    /// What it is for; may be empty.
    pub description: String,
    /// What it is told; empty means everything.
    pub events: Vec<MessageKind>,
}

/// An endpoint as it is now, with its secret where it was just made.
pub struct Done {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Shown once, now, and never again.
    pub secret: Secret,
}

/// What operators do with receivers.
pub struct Hooks {
    store: Arc<dyn Store>,
    sender: Arc<Sender>,
    clock: Arc<dyn Clock>,
}

impl Hooks {
    /// Over this store.
    pub fn new(store: Arc<dyn Store>, sender: Arc<Sender>, clock: Arc<dyn Clock>) -> Self {
        Self { store, sender, clock }
    }

    /// Makes an endpoint.
    pub async fn create(&self, new: NewEndpoint, by: &By) -> Result<Done, HookError> {
        let url = self.sender.rules().url(&new.url)?.to_string();
        let endpoint = Endpoint {
            id: EndpointId::generate(),
            url,
            description: description(&new.description)?,
            events: chosen(new.events)?,
            state: EndpointState::Enabled,
            disabled_reason: None,
            failing_since: None,
            former_secret_until: None,
            created_at: self.clock.now(),
        };
        let secret = new_secret();
        self.store.add_endpoint(&endpoint, &secret).await?;
        self.audit(Action::CreateWebhook, endpoint.id, by, "created").await?;
        Ok(Done { endpoint, secret })
    }

    /// One endpoint.
    pub async fn show(&self, id: EndpointId) -> Result<Endpoint, HookError> {
        self.store.endpoint(id).await?.ok_or(HookError::NoEndpoint)
    }

    /// Changes an endpoint.
    pub async fn update(&self, id: EndpointId, change: EndpointChange, by: &By) -> Result<Endpoint, HookError> {
        let url = change.url.map(|url| self.sender.rules().url(&url)).transpose()?;
        let change = EndpointChange {
            url: url.map(|url| url.to_string()),
            description: change.description.as_deref().map(description).transpose()?,
            events: change.events.map(chosen).transpose()?,
            is_enabled: change.is_enabled,
        };
        if !self.store.change_endpoint(id, &change).await? {
            return Err(HookError::NoEndpoint);
        }
        let outcome = match change.is_enabled {
            Some(true) => "enabled",
            Some(false) => "disabled",
            None => "changed",
        };
        self.audit(Action::UpdateWebhook, id, by, outcome).await?;
        self.show(id).await
    }

    /// Removes an endpoint with its deliveries.
    pub async fn delete(&self, id: EndpointId, by: &By) -> Result<(), HookError> {
        if !self.store.remove_endpoint(id).await? {
            return Err(HookError::NoEndpoint);
        }
        Ok(self.audit(Action::DeleteWebhook, id, by, "deleted").await?)
    }

    /// Gives an endpoint a new secret; the former one signs beside it for a day.
    pub async fn rotate_secret(&self, id: EndpointId, by: &By) -> Result<Done, HookError> {
        let secret = new_secret();
        if !self.store.rotate_endpoint_secret(id, &secret, after(self.clock.now(), OVERLAP)).await? {
            return Err(HookError::NoEndpoint);
        }
        self.audit(Action::RotateWebhookSecret, id, by, "rotated").await?;
        Ok(Done { endpoint: self.show(id).await?, secret })
    }

    /// Sends `webhook.test` at once, disabled or not, and says what the endpoint answered. Nothing of it is kept.
    pub async fn test(&self, id: EndpointId, by: &By) -> Result<Answered, HookError> {
        let endpoint = self.show(id).await?;
        let now = self.clock.now();
        let secrets = self.store.endpoint_secrets(id, now).await?;
        let message = Message::test(id, now);
        let answered = self.sender.send(&endpoint.url, secrets.as_ref(), &message).await;
        let outcome = if answered.is_delivered { "delivered" } else { "not_delivered" };
        self.audit(Action::TestWebhook, id, by, outcome).await?;
        Ok(answered)
    }

    /// Sends one message again, under its id.
    pub async fn replay(&self, id: EndpointId, message: MessageId, by: &By) -> Result<(), HookError> {
        self.enabled(id).await?;
        if !self.store.replay_delivery(id, message, self.clock.now()).await? {
            return Err(HookError::NoDelivery);
        }
        Ok(self.audit(Action::ReplayWebhook, id, by, "due").await?)
    }

    /// Sends again what an endpoint missed since then. How many messages.
    pub async fn replay_missed(&self, id: EndpointId, since: Timestamp, by: &By) -> Result<u64, HookError> {
        self.enabled(id).await?;
        let replayed = self.store.replay_missed(id, since, self.clock.now()).await?;
        self.audit(Action::ReplayWebhook, id, by, "due").await?;
        Ok(replayed)
    }

    async fn enabled(&self, id: EndpointId) -> Result<(), HookError> {
        match self.show(id).await?.state {
            EndpointState::Enabled => Ok(()),
            EndpointState::Disabled => Err(HookError::Disabled),
        }
    }

    async fn audit(&self, action: Action, subject: EndpointId, by: &By, outcome: &str) -> Result<(), StoreError> {
        let entry = AuditEntry {
            id: AuditId::generate(),
            at: self.clock.now(),
            actor: by.actor.clone(),
            action,
            subject: subject.to_string(),
            reason: by.reason.clone(),
            outcome: outcome.to_owned(),
        };
        self.store.audit(&entry).await
    }
}

fn description(text: &str) -> Result<String, HookError> {
    let text = text.trim();
    let fits = text.chars().count() <= DESCRIPTION_MAX && !text.contains(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err(HookError::Description) }
}

/// Each once, in their order.
fn chosen(mut events: Vec<MessageKind>) -> Result<Vec<MessageKind>, HookError> {
    events.sort_unstable();
    events.dedup();
    if events.contains(&MessageKind::Test) { Err(HookError::Kind) } else { Ok(events) }
}
