//! The plaintext inside a ciphertext: place, then secret.

use std::fmt::Write;

use evergrant_contract::ids::{ConnectionId, EndpointId};
use evergrant_contract::secret::Secret;
use zeroize::Zeroizing;

/// The column that a ciphertext belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// The access token.
    AccessToken,
    /// The refresh token.
    RefreshToken,
    /// A provider's answer that could not be used and may hold a rotated secret.
    UnreadAnswer,
    /// What messages to a receiver of webhooks are signed with. Its place has the endpoint's id for the row.
    WebhookSecret,
}

impl Field {
    /// Every field.
    pub const ALL: [Self; 4] = [Self::AccessToken, Self::RefreshToken, Self::UnreadAnswer, Self::WebhookSecret];

    /// One letter, written into every stored row: never change one.
    const fn letter(self) -> char {
        match self {
            Self::AccessToken => 'a',
            Self::RefreshToken => 'r',
            Self::UnreadAnswer => 'u',
            Self::WebhookSecret => 'w',
        }
    }
}

/// Where a ciphertext belongs: sealed for one place, it opens in no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// The row.
    pub connection: ConnectionId,
    /// The column.
    pub field: Field,
}

impl Place {
    /// Where the secret of a receiver of webhooks belongs.
    pub fn of_endpoint(id: EndpointId) -> Self {
        Self { connection: id.uuid().into(), field: Field::WebhookSecret }
    }
}

/// What is wrong with a decrypted plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// It is an envelope for another place.
    WrongPlace,
    /// It is no envelope of a version that we know.
    NoEnvelope,
}

const VERSION: &str = "eg1:";
/// Version, 32 hexadecimal digits, and `:<letter>:`. Fixed, so that no secret can pose as a part of the header.
const HEADER_LEN: usize = VERSION.len() + 32 + 3;

fn header(place: Place) -> String {
    let mut text = String::with_capacity(HEADER_LEN);
    // Writing to a String cannot fail.
    let _ = write!(text, "{VERSION}{}:{}:", place.connection.uuid().as_simple(), place.field.letter());
    text
}

/// The plaintext to encrypt.
pub(crate) fn wrap(place: Place, secret: &Secret) -> Zeroizing<String> {
    let header = header(place);
    // Allocated in full at once: a growing buffer would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(header.len() + secret.expose().len()));
    text.push_str(&header);
    text.push_str(secret.expose());
    text
}

/// The secret in a decrypted plaintext.
pub(crate) fn unwrap(place: Place, text: &str) -> Result<Secret, Misfit> {
    if !text.starts_with(VERSION) {
        return Err(Misfit::NoEnvelope);
    }
    let (found, secret) = text.split_at_checked(HEADER_LEN).ok_or(Misfit::NoEnvelope)?;
    if found != header(place) {
        return Err(Misfit::WrongPlace);
    }
    Ok(Secret::new(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(field: Field) -> Place {
        Place { connection: "018f0000-0000-7000-8000-000000000001".parse().unwrap(), field }
    }

    #[test]
    fn the_header_is_written_as_stored_rows_have_it() {
        let text = wrap(place(Field::RefreshToken), &Secret::new("Atzr|x"));
        assert_eq!(text.as_str(), "eg1:018f0000000070008000000000000001:r:Atzr|x");
        assert_eq!(HEADER_LEN, text.len() - "Atzr|x".len());
        assert_eq!(Field::ALL.map(Field::letter), ['a', 'r', 'u', 'w']);
    }

    #[test]
    fn a_secret_that_looks_like_a_header_is_still_a_secret() {
        let posing = Secret::new("eg1:018f0000000070008000000000000001:a:");
        let text = wrap(place(Field::RefreshToken), &posing);
        assert!(unwrap(place(Field::RefreshToken), &text).ok().unwrap().same_as(&posing));
        assert_eq!(unwrap(place(Field::AccessToken), &text).err(), Some(Misfit::WrongPlace));
    }

    #[test]
    fn no_envelope_is_told_from_a_wrong_place() {
        for text in
            ["", "Atzr|bare", "eg1:short", "eg2:018f0000000070008000000000000001:r:x", "eg1:ééééééééééééééééééééééé"]
        {
            assert_eq!(unwrap(place(Field::RefreshToken), text).err(), Some(Misfit::NoEnvelope), "{text}");
        }
    }
}
