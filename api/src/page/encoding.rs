//! The forms in which a file is kept besides its plain one.

use axum::http::{HeaderMap, HeaderValue, header};

/// A form that browsers unpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Brotli,
    Gzip,
}

impl Encoding {
    /// Those that the client takes, the smaller one first.
    pub(super) fn accepted(headers: &HeaderMap) -> Vec<Self> {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
        let wanted: Vec<&str> = values.flat_map(|value| value.split(',')).filter_map(wanted).collect();
        let is_wanted = |encoding: &Self| wanted.iter().any(|name| name.eq_ignore_ascii_case(encoding.token()));
        [Self::Brotli, Self::Gzip].into_iter().filter(is_wanted).collect()
    }

    /// The name of the file that holds this form of a file.
    pub(super) fn name(self, path: &str) -> String {
        let extension = match self {
            Self::Brotli => "br",
            Self::Gzip => "gz",
        };
        format!("{path}.{extension}")
    }

    /// What an answer says about it.
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.token())
    }

    const fn token(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }
}

/// The name of an encoding, unless its weight is zero, which refuses it.
fn wanted(item: &str) -> Option<&str> {
    let mut parts = item.split(';').map(str::trim);
    let name = parts.next()?;
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    let is_refused = weight.is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0));
    (!is_refused).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_client_takes_is_sent_and_the_smaller_form_first() {
        use Encoding::{Brotli, Gzip};
        for (accepted, wanted) in [
            ("gzip, deflate, br, zstd", vec![Brotli, Gzip]),
            ("GZIP", vec![Gzip]),
            ("br;q=0, gzip;q=0.5", vec![Gzip]),
            ("br; q=0.000", vec![]),
            ("identity", vec![]),
            ("", vec![]),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(accepted))]);
            assert_eq!(Encoding::accepted(&headers), wanted, "{accepted}");
        }
        assert_eq!(Encoding::accepted(&HeaderMap::new()), []);
    }
}
