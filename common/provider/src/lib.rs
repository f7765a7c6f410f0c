//! OAuth 2 token endpoints: descriptors, wire, verdicts.
