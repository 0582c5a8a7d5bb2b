//! Scenarios of one node of the pure core.
