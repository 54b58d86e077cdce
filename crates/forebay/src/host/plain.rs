//! A second host, for tests: a plain thread that polls.
