//! How single fields are read and shown.

#![expect(clippy::ref_option, reason = "serde hands a field over as it stands")]

use std::path::PathBuf;
use std::time::Duration;

use ::url::Url;
use evergrant_contract::secret::Secret;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serializer};

/// No duration of ours is meant to be longer, and arithmetic on times must not overflow.
const LONGEST: Duration = Duration::from_hours(366 * 24);

fn duration<'de, D: Deserializer<'de>>(from: D, unit: fn(u64) -> Duration) -> Result<Duration, D::Error> {
    let number = u64::deserialize(from)?;
    let length = unit(number);
    let fits = length <= LONGEST;
    if fits { Ok(length) } else { Err(D::Error::invalid_value(Unexpected::Unsigned(number), &"a year at most")) }
}

/// A duration in whole seconds.
pub(super) mod secs {
    use super::{Deserializer, Duration, Serializer, duration};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        duration(from, Duration::from_secs)
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.as_secs())
    }
}

/// A duration in whole milliseconds.
pub(super) mod millis {
    use super::{Deserializer, Duration, Serializer, duration};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        duration(from, Duration::from_millis)
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A day that need not be known, as in 2027-05-20.
pub(super) mod date {
    use chrono::NaiveDate;

    use super::{Deserialize, Deserializer, Error, Serializer, Unexpected};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<NaiveDate>, D::Error> {
        let text = String::deserialize(from)?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let day = text.trim().parse();
        day.map(Some).map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &"a day such as 2027-05-20"))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over references")]
    pub(in crate::config) fn serialize<S: Serializer>(value: &Option<NaiveDate>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.map(|day| day.to_string()).unwrap_or_default())
    }
}

/// A secret that need not be set. It is shown as `<set>` or empty.
pub(super) mod secret {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
        Ok(Secret::non_empty(String::deserialize(from)?))
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(if value.is_some() { "<set>" } else { "" })
    }
}

/// A text that need not be set.
pub(super) mod text {
    use super::{Deserialize, Deserializer, Serializer};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
        let text = String::deserialize(from)?;
        Ok((!text.trim().is_empty()).then(|| text.trim().to_owned()))
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.as_deref().unwrap_or_default())
    }
}

/// Texts separated by commas, none of them empty.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Serializer};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
        let text = String::deserialize(from)?;
        Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &[String], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&value.join(","))
    }
}

/// A path that need not be set.
pub(super) mod path {
    use super::{Deserializer, PathBuf, Serializer, text};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(text::deserialize(from)?.map(PathBuf::from))
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &Option<PathBuf>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&value.as_deref().unwrap_or(std::path::Path::new("")).display())
    }
}

/// An http or https URL that need not be set.
pub(super) mod url {
    use super::{Deserializer, Error, Serializer, Unexpected, Url, text};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
        let Some(text) = text::deserialize(from)? else { return Ok(None) };
        let parsed = Url::parse(&text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        parsed.map(Some).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"an http or https URL"))
    }

    pub(in crate::config) fn serialize<S: Serializer>(value: &Option<Url>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(value.as_ref().map(Url::as_str).unwrap_or_default())
    }
}

/// A share of a whole, 0 to 1.
pub(super) mod share {
    use super::{Deserialize, Deserializer, Error, Serializer, Unexpected};

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = String::deserialize(from)?;
        let number = text.trim().parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        number.ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &"a number from 0 to 1"))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a field over as it stands")]
    pub(in crate::config) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }
}
