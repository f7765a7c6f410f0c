//! For tests only: manual clock, memory ports, conformance suites, a TCP proxy that can be cut.
