//! The Fernet keyring, envelopes bound to their place, and ciphertexts.
