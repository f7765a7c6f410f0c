//! Headers in one text, as OpenTelemetry writes them: `name=value,name=value`, values percent-encoded.

use evergrant_contract::secret::Secret;

/// The headers; `None` if the text is no such list.
pub fn headers_of(text: &str) -> Option<Vec<(String, Secret)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    pairs.map(header_of).collect()
}

fn header_of(pair: &str) -> Option<(String, Secret)> {
    let (name, value) = pair.split_once('=')?;
    let name = name.trim().to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let value = decoded(value.trim())?;
    let is_sound = !name.is_empty() && name.bytes().all(is_token) && !value.chars().any(char::is_control);
    is_sound.then(|| (name, Secret::new(value)))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            u8::try_from(high * 16 + low).ok()?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Vec<(String, String)>> {
        let headers = headers_of(text)?;
        Some(headers.into_iter().map(|(name, value)| (name, value.expose().to_owned())).collect())
    }

    #[test]
    fn a_list_is_read_and_decoded() {
        let expected = [("authorization", "Bearer a=b"), ("x-tenant", "blue, green")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(" Authorization=Bearer%20a=b , x-tenant=blue%2C%20green,"), Some(expected.into()));
        assert_eq!(read(""), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for text in ["bearer", "=x", "a b=c", "a=%2", "a=%zz", "a=%0a", "a=%ff"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
