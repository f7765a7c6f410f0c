//! `evergrant webhooks`: receivers of webhooks.

use std::time::Duration;

use clap::{Args, Subcommand};
use evergrant_contract::ids::{EndpointId, MessageId};
use evergrant_contract::webhook::{DeliveryState, MessageKind};

use super::{JsonArg, OperatorArgs};

/// What can be done with receivers of webhooks.
#[derive(Debug, Subcommand)]
pub enum WebhooksCommand {
    /// Make a receiver. Its secret is shown once, now, and never again.
    #[command(after_help = "Examples:\n  \
        evergrant webhooks create https://receiver.example/hooks/evergrant\n  \
        evergrant webhooks create https://receiver.example/hooks --event connection.needs_reauth --event app.fault")]
    Create(CreateWebhookArgs),
    /// List receivers.
    List(JsonArg),
    /// Show a receiver.
    Show(WebhookArgs),
    /// Change a receiver, or enable or disable it.
    #[command(after_help = "Examples:\n  \
        evergrant webhooks update 0197b0a0-0000-7000-8000-000000000002 --enabled true --why \"it is back\"")]
    Update(UpdateWebhookArgs),
    /// Remove a receiver with its deliveries.
    Delete(ActOnWebhookArgs),
    /// Send `webhook.test` now and show what the receiver answers.
    Test(ActOnWebhookArgs),
    /// Give a receiver a new secret, shown once. The former one signs beside it for 24 hours.
    RotateSecret(ActOnWebhookArgs),
    /// List what a receiver was told and how that went, newest first.
    Deliveries(DeliveriesArgs),
    /// Send again: one message, or all that the receiver missed.
    #[command(after_help = "Examples:\n  \
        evergrant webhooks replay 0197b0a0-0000-7000-8000-000000000002 --since 2d\n  \
        evergrant webhooks replay 0197b0a0-0000-7000-8000-000000000002 \
        --message 0197b0a0-0000-7000-8000-000000000003")]
    Replay(ReplayWebhookArgs),
}

/// What `webhooks create` takes.
#[derive(Debug, Args)]
pub struct CreateWebhookArgs {
    /// Where messages are sent to: https, and no address inside.
    #[arg(value_name = "URL")]
    pub url: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub description: String,
    /// What it is told, such as connection.needs_reauth; may be repeated. Without it, everything.
    #[arg(long = "event", value_name = "EVENT")]
    pub events: Vec<MessageKind>,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// A receiver, and how it is printed.
#[derive(Debug, Args)]
pub struct WebhookArgs {
    /// Its id, as `webhooks list` shows it.
    #[arg(value_name = "ENDPOINT")]
    pub id: EndpointId,
    /// How it is printed.
    #[command(flatten)]
    pub output: JsonArg,
}

/// A receiver, who acts on it and why.
#[derive(Debug, Args)]
pub struct ActOnWebhookArgs {
    /// Which.
    #[command(flatten)]
    pub which: WebhookArgs,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
}

/// What `webhooks update` takes.
#[derive(Debug, Args)]
pub struct UpdateWebhookArgs {
    /// Which.
    #[command(flatten)]
    pub which: WebhookArgs,
    /// Where messages are sent to.
    #[arg(long = "send-to", value_name = "URL")]
    pub url: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// What it is told instead; may be repeated.
    #[arg(long = "event", value_name = "EVENT", conflicts_with = "all_events")]
    pub events: Vec<MessageKind>,
    /// It is told everything.
    #[arg(long)]
    pub all_events: bool,
    /// Whether it is told anything. Disabling gives up what is on its way.
    #[arg(long, value_name = "BOOL")]
    pub enabled: Option<bool>,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
}

/// What `webhooks deliveries` takes.
#[derive(Debug, Args)]
pub struct DeliveriesArgs {
    /// Which.
    #[command(flatten)]
    pub which: WebhookArgs,
    /// Only those that stand so: pending, delivered or failed.
    #[arg(long, value_name = "STATE")]
    pub state: Option<DeliveryState>,
    /// Only those of messages that tell this.
    #[arg(long, value_name = "EVENT")]
    pub event: Option<MessageKind>,
    /// From behind this message.
    #[arg(long, value_name = "MESSAGE")]
    pub after: Option<MessageId>,
    /// The most that are listed.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub limit: u32,
}

/// What `webhooks replay` takes.
#[derive(Debug, Args)]
pub struct ReplayWebhookArgs {
    /// Which.
    #[command(flatten)]
    pub which: WebhookArgs,
    /// This message, whatever became of it.
    #[arg(long, value_name = "MESSAGE", required_unless_present = "since", conflicts_with = "since")]
    pub message: Option<MessageId>,
    /// Everything that it missed for so long until now, such as 2d.
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub since: Option<Duration>,
    /// Why, and who says so.
    #[command(flatten)]
    pub operator: OperatorArgs,
}
