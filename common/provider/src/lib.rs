#![doc = include_str!("../README.md")]

mod authorize;
mod consent;
mod credentials;
mod descriptor;
mod endpoint;
mod exchange;
mod http;
mod identity;
mod lifetime;
mod question;
pub mod reading;
mod redact;
mod registry;
mod retry_after;
mod table;
mod turnstile;

pub use authorize::AuthorizeForm;
pub use consent::ConsentLifetime;
pub use credentials::Credentials;
pub use descriptor::{AnswerForm, BodyForm, ClientAuth, Descriptor, Overrides, Pointer, RequestForm, SuccessMark};
pub use endpoint::EndpointError;
pub use http::{HttpProvider, ProviderError, Timeouts};
pub use identity::{IdentityForm, ProfileForm, TokenInfoForm};
pub use lifetime::ExpiryUnit;
pub use registry::{DescriptorError, Registry};
pub use table::Grant;
