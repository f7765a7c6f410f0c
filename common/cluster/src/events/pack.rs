//! Events of one topic that are sent together are one message: one to a line.
//!
//! A message costs the broker and every listener the same for one event and for fifty, and under load they come by the
//! hundred. One alone is what it always was, so that releases understand each other; one that does not know packs drops them,
//! and looks at the rows.

use evergrant_contract::event::Event;

/// Events in one message at most: some ten kilobytes.
const PACK_MAX: usize = 64;
const BETWEEN: u8 = b'\n';

/// The messages for these events, each with its routing key, in the order of the events.
pub(super) fn pack(events: &[Event]) -> Vec<(String, Vec<u8>)> {
    let of_one_topic = events.chunk_by(|one, next| one.topic() == next.topic());
    let message = |pack: &[Event]| {
        let (subject, what) = pack[0].topic();
        let bodies: Vec<_> = pack.iter().map(Event::encode).collect();
        (format!("{subject}.{what}"), bodies.join(&BETWEEN))
    };
    of_one_topic.flat_map(|run| run.chunks(PACK_MAX)).map(message).collect()
}

/// The events of a message; `None` in place of one that cannot be read.
pub(super) fn unpack(body: &[u8]) -> impl Iterator<Item = Option<Event>> + '_ {
    body.split(|byte| *byte == BETWEEN).map(Event::decode)
}

#[cfg(test)]
mod tests {
    use evergrant_contract::event::Outcome;
    use evergrant_contract::ids::{ConnectionId, Version};

    use super::*;

    fn event(version: i64, outcome: Outcome) -> Event {
        let (reason, retry_at, traceparent) = (None, None, None);
        let version = Version::new(version);
        Event::Connection { connection: ConnectionId::generate(), version, outcome, reason, retry_at, traceparent }
    }

    #[test]
    fn events_of_a_topic_travel_together_and_in_their_order() {
        let mut sent: Vec<_> = (1..=100).map(|version| event(version, Outcome::Refreshed)).collect();
        sent.insert(10, event(101, Outcome::NeedsReauth));
        let packs = pack(&sent);
        let keys: Vec<_> = packs.iter().map(|(key, _)| key.as_str()).collect();
        let refreshed = "connection.refreshed";
        assert_eq!(keys, [refreshed, "connection.needs_reauth", refreshed, refreshed]);
        let read: Vec<_> = packs.iter().flat_map(|(_, body)| unpack(body)).map(Option::unwrap).collect();
        assert_eq!(read, sent);
    }

    #[test]
    fn one_alone_is_itself_and_what_cannot_be_read_harms_no_neighbour() {
        let event = event(1, Outcome::Refreshed);
        assert_eq!(pack(std::slice::from_ref(&event)), [("connection.refreshed".to_owned(), event.encode())]);
        let body = [event.encode(), b"{\"type\":\"of another release\"}".to_vec()].join(&BETWEEN);
        assert_eq!(unpack(&body).collect::<Vec<_>>(), [Some(event), None]);
    }
}
